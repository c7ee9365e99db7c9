"""What several tests of statistics need."""

import json
from pathlib import Path

import pytest

ORACLES = Path(__file__).resolve().parents[3] / "shared/oracles/statistics.json"


@pytest.fixture(scope="session")
def oracles():
    """Return the published values of ../shared/oracles/statistics.json."""
    if not ORACLES.exists():
        pytest.skip("the published values of ../shared/oracles are not on this machine")
    return json.loads(ORACLES.read_text())
