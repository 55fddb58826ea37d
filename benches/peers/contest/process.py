"""A contestant's process: its threads, its wall time, its peak memory."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Every pool that one of the contestants may have.
POOLS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Finished:
    """How a process ended."""

    seconds: float
    peak_mib: float


class Failed(Exception):
    """A contestant could not do it; says why."""


def spawn(
    command: list[str],
    threads: int,
    log: Path,
    *,
    variables: dict[str, str] | None = None,
    folder: Path | None = None,
    codes: tuple[int, ...] = (0,),
) -> Finished:
    """Runs a command on so many threads and as many cores, and waits for it. The peak is the kernel's figure at its exit (VmHWM)."""
    environment = {**os.environ, **dict.fromkeys(POOLS, str(threads)), **(variables or {})}

    def confine() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

    with log.open("w") as output:
        began = time.perf_counter()
        try:
            child = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT, preexec_fn=confine)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in codes:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise Failed(f"exit code {child.returncode}: {' / '.join(lines[-3:])} (all of it in {log})")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Finished(seconds, usage.ru_maxrss / unit)
