"""Where jobs run: one after the other, on this machine's cores, or on a Ray or Dask cluster; joblib carries all.

Ray and Dask are extras, imported only where they are asked for.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from etfgym.checks import one_of, whole_number

ATTEMPTS = 3
"""How often a call may lose its worker; it is given up when it does so alone."""

Opened: TypeAlias = tuple[dict[str, Any], tuple[type[Exception], ...]]
"""Keywords of joblib's `Parallel`, and the errors by which it says that a worker was lost."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to run calls; what they return is the same on all.

    Raises:
        ValueError: If there is none of that name, or it takes no address.
        ImportError: If its extra isn't installed.

    Example:
        >>> sorted(Backend("sequential").run(pow, [(2, 3), (5, 2)]))
        [8, 25]
    """

    name: str = "process"
    jobs: int | None = None
    """Calls at a time; None: as many as there are cores, here or in the cluster. A single one runs in this process."""
    address: str | None = None
    """Of a cluster, which is left running; None: one is started on this machine and stopped after."""

    def __post_init__(self) -> None:
        one_of("--backend", self.name, BACKENDS)
        if self.jobs is not None:
            whole_number("--jobs", self.jobs, 1)
        if self.address is not None and self.name not in EXTRAS:
            msg = f"--address is of a Ray or Dask cluster, and --backend {self.name} runs here: leave it out"
            raise ValueError(msg)
        if self.name in EXTRAS and importlib.util.find_spec(EXTRAS[self.name]) is None:
            msg = f'--backend {self.name} needs an extra that is not installed: pip install "etfgym[{self.name}]"'
            raise ImportError(msg)

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the results of `function` on each of `calls`, in the order in which they come.

        Calls that lose their worker are made again. When one goes on losing them, nothing tells which of those at work
        it is: these are tried by halves, until it is alone and is given up. It has no result.

        Raises:
            ConnectionError: If there is no cluster at the address.
            ValueError: If the cluster's workers take several calls at a time.
        """
        groups = [(list(calls), 1)] if calls else []
        with BACKENDS[self.name](self) as (keywords, lost):
            while groups:
                group, attempt = groups.pop()
                left, begun = dict(enumerate(group)), set[int]()
                try:
                    parallel = Parallel(return_as="generator_unordered", batch_size=1, **keywords)
                    for number, result in parallel(_started(function, group, begun)):
                        del left[number]
                        yield result
                except lost:
                    suspects = [call for number, call in left.items() if number in begun]
                    others = [call for number, call in left.items() if number not in begun]
                    half = (len(suspects) + 1) // 2
                    parts = [(suspects[half:], attempt + 1), (suspects[:half], attempt + 1), (others, 1)]
                    if len(group) > 1 or attempt < ATTEMPTS:
                        groups += [part for part in parts if part[0]]


def _started(function: Callable[..., Any], group: Sequence[tuple[Any, ...]], begun: set[int]) -> Iterator[Any]:
    """Yield each call for joblib, which takes it when there is a worker for it, and note its number in `begun`."""
    for number, call in enumerate(group):
        begun.add(number)
        yield delayed(_numbered)(number, function, call)


def _numbered(number: int, function: Callable[..., Any], call: tuple[Any, ...]) -> tuple[int, Any]:
    return number, function(*call)


@contextmanager
def _sequential(_: Backend) -> Iterator[Opened]:
    yield {"backend": "sequential"}, ()


@contextmanager
def _process(backend: Backend) -> Iterator[Opened]:
    yield {"backend": "loky", "n_jobs": backend.jobs or -1}, (TerminatedWorkerError,)


@contextmanager
def _ray(backend: Backend) -> Iterator[Opened]:
    """Open a Ray cluster. Nothing about its use is told to Ray's makers, and there is no dashboard."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as future versions do; otherwise they warn
    import ray
    from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError
    from ray.util.joblib import register_ray
    from ray.util.joblib.ray_backend import RayBackend

    register_ray()
    RayBackend.supports_return_generator = True  # it inherits a "no" of multiprocessing's pool, which it doesn't use
    logging.getLogger("ray.util.multiprocessing.pool").setLevel(logging.ERROR)  # joblib's context doesn't concern it
    local = {"num_cpus": backend.jobs or cpu_count(), "include_dashboard": False} if backend.address is None else {}
    ray.init(backend.address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    # Workers of one call each ask for no core: spread, they don't all come to lie on the first machine.
    workers = {"scheduling_strategy": "SPREAD", "max_restarts": -1, "max_task_retries": ATTEMPTS - 1}
    try:
        keywords = {"backend": "ray", "n_jobs": backend.jobs or -1, "ray_remote_args": workers}
        yield keywords, (RayActorError, ObjectLostError, OutOfMemoryError)
    finally:
        ray.shutdown()


@contextmanager
def _dask(backend: Backend) -> Iterator[Opened]:
    """Open a Dask cluster, without a dashboard."""
    from distributed import Client, LocalCluster
    from distributed.scheduler import KilledWorker

    with ExitStack() as stack:
        address = backend.address or stack.enter_context(
            LocalCluster(
                n_workers=backend.jobs or cpu_count(),
                threads_per_worker=1,
                memory_limit=0,  # none, as on the other backends
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        )
        try:
            client = stack.enter_context(Client(address))
        except OSError as error:
            msg = f"no Dask scheduler answers at {backend.address}: {error}"
            raise ConnectionError(msg) from None
        if any(threads > 1 for threads in client.nthreads().values()):
            msg = "a job needs a process of its own: start the Dask workers with --nthreads 1"
            raise ValueError(msg)
        stack.enter_context(parallel_config("dask", client=client))
        yield {"pre_dispatch": backend.jobs or "n_jobs"}, (KilledWorker,)


BACKENDS: dict[str, Callable[[Backend], AbstractContextManager[Opened]]] = {
    "sequential": _sequential,
    "process": _process,
    "ray": _ray,
    "dask": _dask,
}
EXTRAS = {"ray": "ray", "dask": "distributed"}
"""The packages that they need."""
