"""Runs a point."""

import json
from dataclasses import dataclass
from pathlib import Path

from contest.process import Failed, spawn

from .axes import Point
from .options import Options


@dataclass(frozen=True)
class Measured:
    """What a run took, and what it did for it."""

    # Of the attacks alone, and from the command to its end.
    seconds: float
    command: float
    peak_mib: float
    # Forward and backward passes of single examples, and how many examples were attacked.
    passes: int
    attacked: int
    # Multiply-adds of a forward pass, and pixels of an image.
    flops: int
    features: int
    parameters: int
    slots: int


def run(point: Point, options: Options, folder: Path) -> Measured:
    """Runs gauntlet once; weights are found where an earlier run trained them."""
    folder.mkdir(parents=True, exist_ok=True)
    file, out = folder / "suite.toml", folder / "out"
    file.write_text(point.suite())
    common = [options.gauntlet, "run", file, "--weights", options.out / "weights", "--device", point.device, "--quiet", "--no-checks"]
    command = [str(part) for part in [*common, "--out", out, "--fresh"]]
    threads = point.threads or options.threads
    ended = spawn(command, threads, folder / "log", codes=(0, 1))
    results = json.loads((out / "results.json").read_text())
    failed = sum(cell["failed"] for cell in results["cells"])
    if failed or not results["complete"]:
        raise Failed(f"{failed} failed rows, complete: {results['complete']} (see {folder})")
    defence, data = results["defences"][0], results["data"]
    channels, height, width = data["shape"]
    return Measured(
        seconds=sum(cell["seconds"] for cell in results["timing"]["cells"]),
        command=ended.seconds,
        peak_mib=ended.peak_mib,
        passes=sum(cell["forwards"] + cell["backwards"] for cell in results["cells"]),
        attacked=round(defence["clean_accuracy"] * data["examples"]),
        flops=defence["flops"],
        features=channels * height * width,
        parameters=defence["parameters"],
        slots=sum(device["slots"] for device in results["devices"]),
    )
