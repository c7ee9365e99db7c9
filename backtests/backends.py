"""Where jobs run: one after the other, on this machine's cores, or on a Ray or Dask cluster; joblib carries all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from etfgym.checks import one_of

BACKENDS = {"sequential": "sequential", "process": "loky"}
"""joblib's names of ours."""


@dataclass(slots=True)
class Backend:
    """A way to run calls; `lost` tells whether the last `run` ended because a worker died."""

    name: str = "process"
    jobs: int = 1
    """Calls at a time."""
    address: str | None = None
    """Of a cluster; None: one is started on this machine."""
    lost: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        one_of("--backend", self.name, BACKENDS)

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the results of `function` on each of `calls`, in the order in which they come."""
        self.lost = False
        with parallel_config(BACKENDS[self.name], n_jobs=self.jobs):
            try:
                yield from Parallel(return_as="generator_unordered")(delayed(function)(*call) for call in calls)
            except TerminatedWorkerError:
                self.lost = True
