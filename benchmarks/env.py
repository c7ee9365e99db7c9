"""Speed of the trading environment beside its limits and its peers: `python -m benchmarks.env`.

What the cases mean:

- *one account, step()*: `EtfTradingEnv.step` with the window copied and every key of the info read.
- *one account, the compiled step alone*: the compiled function that `step()` calls: account, costs, reward, action
  mask and window, written into the environment's own arrays; neither a copy of the window nor an info is made.
- *vector*: `EtfTradingVectorEnv.step`, one thread, infos not read. The windows lie in recycled memory (an array is
  used again once nobody holds it), and *writing 480 bytes* is a compiled loop that writes as many bytes for each
  account into memory of the same kind, and nothing else.
- *index*: the same with `observe="index"`: rows and accounts, no windows.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from benchmarks import harness, peers
from benchmarks.harness import Case, Measure, Peer, Row, repeat_for
from etfgym.envs import kernel
from etfgym.envs.buffers import Recycled
from etfgym.envs.etf import EtfTradingEnv
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.sources.worlds import make_world

WINDOW = (20, 6)
SINGLE = "one account, step() with all of info read"
BATCHES = 16
"""Different arrays of actions that are used in turn."""


def one_account(seconds: float) -> tuple[float, float]:
    """Return steps and seconds of the single environment, every key of each info read."""
    order = np.random.default_rng(0).integers(0, 5, peers.STEPS).tolist()
    return repeat_for(seconds, peers.stepper(EtfTradingEnv(), order, lambda info: [*info.values()]), len(order))


def one_account_alone(seconds: float) -> tuple[float, float]:
    """Return steps and seconds of the compiled step of one account."""
    env = EtfTradingEnv()
    order = np.random.default_rng(0).integers(0, 5, peers.STEPS).tolist()
    env.reset(seed=0)
    arrays = env._block, env._prices, env._features, env._seen  # noqa: SLF001 (what step() passes on)
    start = env.accounts.state.copy()

    def run() -> None:
        for action in order:
            if kernel.step_one(action, *arrays)[1]:
                env.accounts.state[:] = start

    return repeat_for(seconds, run, len(order))


@functools.cache
def _vector(count: int, **keywords: Any) -> tuple[EtfTradingVectorEnv, list[npt.NDArray[np.int64]]]:
    """Return a started environment and actions for it; made once, because a million accounts take a while."""
    envs = EtfTradingVectorEnv(count, **keywords)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    return envs, [rng.integers(0, 5, count) for _ in range(BATCHES)]


def vector(seconds: float, count: int, **keywords: Any) -> tuple[float, float]:
    """Return steps of all accounts together, and seconds."""
    envs, batches = _vector(count, **keywords)

    def run() -> None:
        for actions in batches:
            envs.step(actions)

    return repeat_for(seconds, run, count * len(batches))


@numba.njit(error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _fill(out: npt.NDArray[np.float32], value: float) -> None:
    flat = out.reshape(-1)
    for i in range(np.uint64(flat.size)):
        flat[i] = value


def fill_limit(seconds: float, count: int) -> tuple[float, float]:
    """Return windows and seconds of a loop that only writes them."""
    buffers = Recycled((count, *WINDOW), np.float32)

    def run() -> None:
        held: Any = None
        for value in range(BATCHES):
            out = buffers.take()
            _fill(out, float(value))
            held = out  # as a loop holds the last observation while the next one is made
        del held

    return repeat_for(seconds, run, count * BATCHES)


def cases(seconds: float) -> list[Case]:
    """Return what is measured, each for `seconds` a round."""

    def timed(function: Callable[..., tuple[float, float]], *given: Any, **keywords: Any) -> Measure:
        return lambda: function(seconds, *given, **keywords)

    others = [
        Peer("gym-anytrading 2.0 (a view of 20 x 2)", timed(peers.gym_anytrading)),
        Peer("gym-trading-env 0.3 (20 x 8)", timed(peers.gym_trading_env)),
    ]
    made = [
        Case(SINGLE, timed(one_account), others, target=0.6e6),
        Case("one account, the compiled step alone", timed(one_account_alone), target=1.0e6),
    ]
    for count in (1_024, 8_192):
        limit = [Peer("writing 480 bytes", timed(fill_limit, count), target=0.8)]
        made += [
            Case(f"vector of {count:,}, relative", timed(vector, count), limit),
            Case(f"vector of {count:,}, raw", timed(vector, count, features="raw"), limit),
        ]
    one = [Peer("one thread", timed(vector, 8_192))]
    made.append(Case("vector of 8,192, relative, 2 threads", timed(vector, 8_192, num_threads=2), one))
    made.append(Case("vector of 1,024, index", timed(vector, 1_024, observe="index"), target=100e6))
    return made


def memory() -> list[Row]:
    """Return bytes of arrays for each bar of a table and for each account."""
    envs, _ = _vector(1_024)
    market, state = envs.accounts.market, envs.accounts.state
    bars = sum(array.nbytes for array in (market.dates, market.prices, market.features)) / len(market.close)
    return [
        Row("memory, a bar", "bytes", None, ours=[bars]),
        Row("memory, an account's state", "bytes", None, ours=[state.nbytes / len(state)]),
    ]


def draw(path: Path, most: int, seconds: float) -> None:
    """Draw the cost of a step as accounts and ETFs grow, up to `most` accounts and 500 ETFs."""
    from matplotlib.figure import Figure

    from etfgym.atomic import write_atomically

    counts = [10**power for power in range(7) if 10**power <= most]
    tables = [make_world("random-walk", number, bars=1_000) for number in range(500)]
    kinds = (1, 5, 20, 100, 500)
    figure = Figure(figsize=(8, 3.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, keywords in (("windows", {}), ("index", {"observe": "index"})):
        rates = [_once(count, seconds, **keywords) for count in counts]
        left.plot(counts, [1e9 / rate for rate in rates], marker="o", label=name)
        rates = [_once(1_024, seconds, prices=tuple(tables[:kind]), **keywords) for kind in kinds]
        right.plot(kinds, [1e9 / rate for rate in rates], marker="o", label=name)
    for axes, title in ((left, "accounts, two tables"), (right, "ETFs of 1,000 bars, 1,024 accounts")):
        axes.set(xscale="log", yscale="log", xlabel=title, ylabel="nanoseconds an account and step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    write_atomically(path, lambda part: figure.savefig(part, format="png"))


def _once(count: int, seconds: float, **keywords: Any) -> float:
    """Return account-steps a second of an environment made for it alone."""
    envs = EtfTradingVectorEnv(count, **keywords)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 5, count)
    work, passed = repeat_for(seconds, lambda: envs.step(actions), count)
    return work / passed


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write what is asked for."""
    parser = harness.parser("env", __doc__.partition("\n")[0], rounds=5)
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the cost over accounts and ETFs (PNG)")
    given = parser.parse_args(arguments)
    seconds, rounds = (0.01, 1) if given.quick else (1.0, given.rounds)
    started = time.perf_counter()
    rows = harness.measure(cases(seconds), rounds)
    single = next(row for row in rows if row.name == SINGLE)
    rows += [Row(SINGLE, "steps/s", None, name, list(single.ours), note=why) for name, why in peers.NOT_RUN.items()]
    harness.report([*rows, *memory()], json_file=given.json, packages=("gym-anytrading", "gym-trading-env", "pandas"))
    print(f"{time.perf_counter() - started:.0f} seconds.")
    if given.chart is not None:
        draw(given.chart, 1_000 if given.quick else 1_000_000, seconds / 2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
