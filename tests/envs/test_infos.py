"""Infos that are made when they are read, and arrays that are used again: neither may ever show another step."""

from __future__ import annotations

import ast
import copy
import pickle
from typing import Any

import numpy as np
import pytest

from etfgym.envs.buffers import Recycled
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.envs.infos import LazyInfo
from etfgym.sources.worlds import make_world

COUNT, LENGTH = 5, 12
KEYWORDS: dict[str, Any] = {"prices": make_world("random-walk", 0, bars=300, min_bars=1), "length": LENGTH}


class Frozen(tuple):
    """An array's type and bytes."""

    __slots__ = ()


def frozen(value: Any) -> Any:
    """Return anything that the environment gives in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple | list) and not isinstance(value, Frozen):
        return [frozen(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [frozen(part) for part in value]
    return Frozen((value.dtype.str, value.tobytes())) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("observe", [{}, {"observe_account": True}, {"observe": "index"}])
def test_what_was_returned_says_the_same_however_late_it_is_read(mode, observe):
    def play(late: bool) -> list[Any]:
        envs = EtfTradingVectorEnv(COUNT, autoreset_mode=mode, **KEYWORDS, **observe)
        rng = np.random.default_rng(0)
        seen: list[Any] = [envs.reset(seed=1)]
        for number in range(3 * LENGTH):
            if number % 5 == 3:
                seen.append(envs.reset(options={"reset_mask": np.arange(COUNT) == number % COUNT}))
            actions = rng.integers(0, 5, COUNT)
            seen.append(envs.step(actions))
            actions[:] = 99  # the caller's own again
            if not late:
                seen[-2:] = frozen(seen[-2:])
        return frozen(seen)

    assert play(late=True) == play(late=False)


def test_the_state_read_before_a_step_keeps_its_values():
    envs = EtfTradingVectorEnv(COUNT, **KEYWORDS)
    envs.reset(seed=1)
    rows, cash = envs.accounts.state["row"], envs.accounts.state["cash"]
    wanted = rows.copy()
    for _ in range(LENGTH):
        envs.step(np.zeros(COUNT, int))
    assert rows.tolist() == wanted.tolist()
    assert cash.tolist() == [20_000.0] * COUNT


def test_a_key_is_made_once_and_only_when_it_is_read():
    made: list[str] = []
    info = LazyInfo(("one", "two"), lambda key: made.append(key) or len(made))
    assert made == []
    assert (info["two"], info["two"], info.get("two"), info.get("three", 9)) == (1, 1, 1, 9)
    assert made == ["two"]
    assert "one" in info
    assert "three" not in info
    with pytest.raises(KeyError, match="three"):
        info["three"]
    assert made == ["two"]
    assert dict(info) == {"one": 2, "two": 1}


@pytest.mark.parametrize(
    "whole",
    [
        dict,
        lambda info: info.copy(),
        copy.copy,
        copy.deepcopy,
        lambda info: {**info},
        lambda info: info | {},
        lambda info: {} | info,
        lambda info: dict(info.items()),
        lambda info: dict(zip(info.keys(), info.values(), strict=True)),
        lambda info: {key: info[key] for key in info},
        lambda info: pickle.loads(pickle.dumps(info)),  # noqa: S301 (its own)
        lambda info: ast.literal_eval(repr(info)),
        lambda info: {} if info.update({}) else info,
        lambda info: {key: info.pop(key) for key in ("one", "two")},
        lambda info: info if len(info) == 2 else None,
    ],
)
def test_looked_at_as_a_whole_it_is_a_dict_like_any_other(whole):
    info = LazyInfo(("one", "two"), lambda key: key.upper())
    assert isinstance(info, dict)
    assert whole(info) == {"one": "ONE", "two": "TWO"}


def test_what_is_set_or_deleted_stays_so():
    info = LazyInfo(("one", "two"), lambda key: key.upper())
    info["one"], info["episode"] = 1, 2
    del info["two"]
    assert "two" not in info
    assert info == {"one": 1, "episode": 2}
    info.clear()
    assert len(info) == 0


def test_an_array_is_used_again_only_when_nobody_holds_it_or_a_view_of_it():
    buffers = Recycled((3, 4), np.float32)
    held = buffers.take()
    held[:] = 1.0
    assert held.ctypes.data % 64 == 0
    assert (held.shape, held.dtype) == ((3, 4), np.float32)
    address, view = held.ctypes.data, held[1:].T[2]
    del held
    others = [buffers.take() for _ in range(6)]  # more than are kept
    for other in others:
        other[:] = 2.0
    assert view.tolist() == [1.0, 1.0]
    assert len({other.ctypes.data for other in others}) == 6
    del view
    assert buffers.take().ctypes.data == address
    first, second = buffers.take(), buffers.take()
    assert not np.shares_memory(first, second)


def test_a_shape_that_the_caller_changes_is_the_callers_own():
    buffers = Recycled((3, 4), np.float32)
    held = buffers.take()
    address = held.ctypes.data
    held.shape = (12,)
    held.setflags(write=False)
    del held
    again = buffers.take()
    assert (again.ctypes.data, again.shape, again.flags.writeable) == (address, (3, 4), True)
