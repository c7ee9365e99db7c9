"""Fixtures that take the network away from the tests of Yahoo."""

import sys

import pytest
from fake_yahoo import FakeYahoo, NoNetwork


@pytest.fixture
def fake(monkeypatch):
    """Return a function that puts a FakeYahoo with some answers in the place of yfinance."""

    def install(*answers):
        module = FakeYahoo(*answers)
        monkeypatch.setitem(sys.modules, "yfinance", module)
        return module

    return install


@pytest.fixture
def no_network(monkeypatch):
    for name in ("yfinance", "exchange_calendars"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoNetwork(), *sys.meta_path])
