"""Where measurements run: in this process, in some of this machine's, or on a Dask cluster."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import pairwise
from typing import TYPE_CHECKING

import joblib
from joblib.externals.loky import ProcessPoolExecutor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from privynet_opt.errors import PrivyNetOptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from privynet_opt.characterization.job import Job

RESTARTS = 3
"""How often the run goes on after a worker process was killed."""

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

CONNECT_SECONDS = 10
"""How long a Dask scheduler may take to answer."""


def threads_per_worker(workers: int, dask: str | None) -> int:
    """Return how many CPU threads one measurement may use, at most ``OMP_NUM_THREADS``.

    Args:
        workers: Processes that share this machine.
        dask: Address of a Dask scheduler; its workers have one thread each.
    """
    if dask:
        return 1
    threads: int = joblib.cpu_count() // workers  # cores this process may use
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(threads, int(asked)) if asked.isdigit() else threads)


def run_jobs(
    jobs: Sequence[Job], run: Callable[[Job], None], workers: int, dask: str | None = None
) -> None:
    """Run what is not done yet; a killed worker costs only the measurement it was at.

    Args:
        jobs: Each is run by one worker.
        run: Does it, storing each measurement when it is finished.
        workers: Processes on this machine.
        dask: Address of a Dask scheduler to run on instead; its workers must see the same files.

    Raises:
        PrivyNetOptError: If workers are killed again and again, or the scheduler cannot be used.
    """
    if dask is None:
        _run_here(jobs, run, workers)
    else:
        _run_on_cluster(jobs, run, dask)


def _run_here(jobs: Sequence[Job], run: Callable[[Job], None], workers: int) -> None:
    pending = [job for job in jobs if not job.is_done()]
    if workers == 1:
        for job in pending:
            run(job)
        return
    _run_in_workers(pending, run, workers)


def _run_in_workers(pending: list[Job], run: Callable[[Job], None], workers: int) -> None:
    """Give each process jobs that follow each other: what it keeps of a cut serves the next.

    One whose own are done takes the last of those who have most left.
    """
    ends = [len(pending) * number // workers for number in range(workers + 1)]
    shares = [deque(pending[first:end]) for first, end in pairwise(ends)]
    processes = [_worker(workers) for _ in shares]
    idle = list(range(workers))
    busy: dict[Future[None], tuple[int, Job]] = {}
    killed = 0
    try:
        while any(shares) or busy:
            while any(shares) and idle:
                number = idle.pop()
                own = shares[number]
                job = own.popleft() if own else max(shares, key=len).pop()
                busy[processes[number].submit(run, job)] = number, job
            for finished in wait(busy, return_when=FIRST_COMPLETED).done:
                number, job = busy.pop(finished)
                idle.append(number)
                try:
                    finished.result()
                except TerminatedWorkerError as error:
                    killed += 1
                    if killed > RESTARTS:
                        raise PrivyNetOptError(
                            f"a measuring process must not be killed, but {killed} were (often for "
                            "want of memory). Use fewer --workers; finished rows are kept."
                        ) from error
                    shares[number].appendleft(job)
                    processes[number] = _worker(workers)
    finally:
        at_work = {number for number, _ in busy.values()}
        for number, process in enumerate(processes):
            process.shutdown(kill_workers=number in at_work)


def _worker(workers: int) -> ProcessPoolExecutor:
    """Return a pool of one process: of a larger one, a killed process would end all the others."""
    threads = str(threads_per_worker(workers, None))
    env = dict.fromkeys(THREAD_LIMITS, threads)
    return ProcessPoolExecutor(1, initializer=_begin_worker, env=env)


def _begin_worker() -> None:
    """Have this worker process go on after a job that left it larger, by the stem it keeps.

    Where psutil is installed, loky would take that for a leak and start a new process, which would
    compute the stem again. And have its progress bars, torch.fx has one, share a lock with threads
    alone: one for processes is told as leaked where the worker is stopped at work.
    """
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    tqdm.set_lock(threading.RLock())


def _run_on_cluster(jobs: Sequence[Job], run: Callable[[Job], None], dask: str) -> None:
    """Run on a Dask cluster, which restarts killed work by itself.

    Not through joblib: its Dask backend waits for ever for work that killed every worker.
    """
    try:
        from distributed import Client, KilledWorker
        from distributed.comm.addressing import resolve_address

        resolve_address(dask)  # a client of no address would hold up Python's exit
        client = Client(dask, timeout=CONNECT_SECONDS, set_as_default=False)
    except ImportError as error:
        raise PrivyNetOptError(
            "`--dask` must have the package distributed, but it is not installed. "
            "Install it with `pip install privynet_opt[dask]`."
        ) from error
    except (OSError, ValueError) as error:
        raise PrivyNetOptError(
            f"`--dask` must be the address of a Dask scheduler, but {dask!r} does not answer "
            f"({type(error).__name__}). Write for example tcp://127.0.0.1:8786."
        ) from error
    with client:
        if set(client.nthreads().values()) != {1}:
            raise PrivyNetOptError(
                "`--dask` must have workers of one thread each, since measurements share no "
                f"process, but {dask} has others or none. "
                "Start them with `dask worker --nworkers auto --nthreads 1`."
            )
        try:
            client.gather(client.map(run, [job for job in jobs if not job.is_done()], pure=False))
        except KilledWorker as error:
            raise PrivyNetOptError(
                f"`--dask` must have workers that stay alive, but those of {dask} were killed "
                "again and again (often for want of memory). Start fewer; finished rows are kept."
            ) from error
