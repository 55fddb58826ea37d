"""The command line."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from .axes import AXES

REPOSITORY = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    axes: list[str]
    repeats: int
    threads: int
    adapter: str | None
    gauntlet: Path
    out: Path


def parse(arguments: list[str] | None = None) -> Options:
    """Reads the command line; ends the process where it says no."""
    named = "\n".join(f"  {axis.name:10} {axis.about}" for axis in AXES)
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Measures how time and memory grow along some axes. Axes that were measured before are kept beside the new ones.",
        epilog=f"axes:\n{named}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    add = parser.add_argument
    add("--axes", default="", help="names, separated by commas (default: all; `devices` needs --adapter)")
    add("--repeats", type=int, default=3, help="runs of each point, of which the median counts (default: 3)")
    add("--threads", type=int, default=cores, help=f"threads and cores where the axis is another one (default: {cores})")
    add("--adapter", help="a second device, such as gpu:0, for the axis `devices`")
    add("--gauntlet", type=Path, default=TARGET / "release" / "gauntlet", help="a release build (default: in cargo's target folder)")
    add("--out", type=Path, default=TARGET / "growth", help="weights, runs and results (default: in cargo's target folder)")
    given = parser.parse_args(arguments)
    known = [axis.name for axis in AXES]
    axes = [name for name in given.axes.split(",") if name] or [name for name in known if name != "devices" or given.adapter]
    problems = [f"no axis is called {name}: known are {', '.join(known)}" for name in axes if name not in known]
    if "devices" in axes and not given.adapter:
        problems.append("the axis `devices` needs --adapter, such as gpu:0")
    if not os.access(given.gauntlet, os.X_OK):
        problems.append(f"--gauntlet {given.gauntlet}: no such program; build it with `cargo build --release`, or name another")
    if problems:
        parser.error("; ".join(problems))
    return Options(axes, max(given.repeats, 1), given.threads, given.adapter, given.gauntlet.resolve(), given.out.resolve())
