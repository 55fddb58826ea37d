"""What it was measured on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load() -> float | None:
    """Processes that wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def describe(gauntlet: Path, threads: int) -> dict:
    """The machine before the first measurement."""
    version = subprocess.run([gauntlet, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "gauntlet": version,
        "load_before": load(),
    }


def missing(python: str, device: str) -> str | None:
    """What an interpreter or this machine lacks to measure PyTorch on a device."""
    said = subprocess.run([python, "-c", "import torch; print(torch.cuda.is_available())"], capture_output=True, text=True, check=False)
    if said.stdout.strip() not in ("True", "False"):
        return f"{python} has no PyTorch that works: {' '.join(said.stderr.strip().splitlines()[-1:])}"
    if device == "cuda" and said.stdout.strip() == "False":
        return "no NVIDIA GPU that PyTorch can use is here"
    return None
