"""Where jobs run: one after the other, on this machine's cores, or on a Ray or Dask cluster; joblib carries all.

Ray and Dask are extras, imported only where they are asked for.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from etfgym.checks import one_of, whole_number

ATTEMPTS = 3
"""How often a call may lose its worker; it is given up when it does so alone."""

LOST = [(None, None)]
"""What a batch of one call comes to where the cluster itself made it ATTEMPTS times, and lost its worker each time."""

Opened: TypeAlias = tuple[dict[str, Any], tuple[type[Exception], ...]]
"""Keywords of joblib's `Parallel`, and the errors by which it ends when a worker is lost."""


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
            ConnectionError: If there is no cluster at the address, or its workers take several calls at a time.
        """
        if not calls:
            return
        groups = [(list(calls), 1)]
        with BACKENDS[self.name](self) as (keywords, lost):
            while groups:
                group, attempt = groups.pop()
                left, begun, again = dict(enumerate(group)), set[int](), len(group) > 1
                try:
                    parallel = Parallel(return_as="generator_unordered", batch_size=1, **keywords)
                    for number, result in parallel(_started(function, group, begun)):
                        if number is not None:
                            del left[number]
                            yield result
                except lost:  # and with the worker the results that were on their way
                    again = again or attempt < ATTEMPTS
                suspects = [call for number, call in left.items() if number in begun]
                others = [call for number, call in left.items() if number not in begun]
                half = (len(suspects) + 1) // 2
                parts = [(suspects[half:], attempt + 1), (suspects[:half], attempt + 1), (others, 1)]
                if again:
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
    _reach(backend)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as future versions do; otherwise they warn
    import ray
    from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError
    from ray.util.joblib.ray_backend import RayBackend

    lost = (RayActorError, ObjectLostError, OutOfMemoryError)

    class Workers(RayBackend):
        supports_return_generator = True  # it inherits the "no" of multiprocessing's pool, which isn't Ray's

        def retrieve_result_callback(self, out: Any) -> Any:
            return LOST if isinstance(out, lost) else super().retrieve_result_callback(out)

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if backend.address is None:
        ray.init("local", num_cpus=backend.jobs or cpu_count(), include_dashboard=False, **quiet)
    else:
        ray.init(backend.address, **quiet)
    # A worker is made anew when it is lost, and asks for no core: spread, they don't all come to lie on one machine.
    workers = {"scheduling_strategy": "SPREAD", "max_restarts": -1, "max_task_retries": ATTEMPTS - 1}
    try:
        yield {"backend": Workers(ray_remote_args=workers), "n_jobs": backend.jobs or -1}, ()
    finally:
        ray.shutdown()


@contextmanager
def _dask(backend: Backend) -> Iterator[Opened]:
    """Open a Dask cluster, without a dashboard."""
    _reach(backend)
    import dask
    from distributed import Client, LocalCluster
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend
    from tornado.ioloop import PeriodicCallback

    class Workers(DaskDistributedBackend):  # type: ignore[misc]
        def effective_n_jobs(self, n_jobs: int) -> int:
            workers: int = super().effective_n_jobs(n_jobs)
            return max(2, workers)  # with one worker left, joblib would run the call in this process

        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)  # which calls back after a result, but not after Dask's errors
            future.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            return LOST if isinstance(out, KilledWorker) else super().retrieve_result_callback(out)

    settings = {"distributed.scheduler.allowed-failures": ATTEMPTS - 1, "distributed.deploy.lost-worker-timeout": "5s"}
    with dask.config.set(settings), ExitStack() as stack:
        address: Any = backend.address
        if address is None:
            number = backend.jobs or cpu_count()
            address = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=number,
                threads_per_worker=1,
                memory_limit=0,  # none, as on the other backends
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            stack.callback(_close, address)
            # A worker that dies while it starts isn't made anew by its nanny, but it is when it is asked for again.
            again = PeriodicCallback(lambda: address.scale(number), 5_000)
            address.loop.add_callback(again.start)
            stack.callback(address.loop.add_callback, again.stop)
        client = stack.enter_context(Client(address))  # type: ignore[no-untyped-call]
        if any(threads > 1 for threads in client.nthreads().values()):
            msg = "a job needs a process of its own: start the Dask workers with --nthreads 1"
            raise ConnectionError(msg)
        yield {"backend": Workers(client=client), "pre_dispatch": backend.jobs or "n_jobs"}, ()


def _close(cluster: Any) -> None:
    with suppress(TimeoutError):  # what doesn't end in time was killed
        cluster.close()


def _reach(backend: Backend) -> None:
    """Raise ConnectionError if nothing listens at the cluster's address: Ray would try for minutes, and then abort."""
    host, _, port = (backend.address or "").rpartition("://")[2].rpartition(":")
    try:
        if port.isdecimal():
            socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        msg = f"no {backend.name} cluster answers at {backend.address}: {error.strerror or error}"
        raise ConnectionError(msg) from None


BACKENDS: dict[str, Callable[[Backend], AbstractContextManager[Opened]]] = {
    "sequential": _sequential,
    "process": _process,
    "ray": _ray,
    "dask": _dask,
}
EXTRAS = {"ray": "ray", "dask": "distributed"}
"""The packages that they need."""
