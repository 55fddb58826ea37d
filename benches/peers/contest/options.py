"""The command line."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from .cases import CASES, chosen

REPOSITORY = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    cases: list[str]
    repeats: int
    inner: int
    threads: int
    device: str
    batch: int
    limit: int | None
    minutes: float | None
    rivals: list[str] | None
    gauntlet: Path
    kernels: Path | None
    adapter: str
    reference: Path | None
    work: Path
    out: Path
    python: str | None


def parse(arguments: list[str] | None = None) -> Options:
    """Reads the command line; ends the process where it says no."""
    names = "\n".join(f"  {case.name:32} {case.about}" for case in CASES)
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Runs gauntlet and the Python libraries side by side.",
        epilog=f"cases:\n{names}\n  cpu, gpu                         all that suit the one or the other",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    add = parser.add_argument
    add("--cases", default="cpu", help="names, beginnings of names, or groups, separated by commas (default: cpu)")
    add("--repeats", type=positive, default=5, help="measurements of each contestant (default: 5)")
    add("--inner", type=positive, default=1, help="how many of them a contestant makes in a row before the next one's turn (default: 1)")
    add("--threads", type=positive, default=cores, help=f"threads of every contestant (default: {cores})")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--adapter", default="gpu:0", help="gauntlet's --device beside CUDA (default: gpu:0)")
    add("--batch", type=positive, default=128, help="the libraries' batch in attacks on the CPU (default: 128; on CUDA all at once)")
    add("--limit", type=positive, help="at most so many examples, also of the training set, to try the bench out")
    add("--minutes", type=float, help="begin nothing that would end later, by what it took the last time")
    add("--rivals", help="only these, separated by commas, such as torch,foolbox, or torch:compile in any case of torch's")
    add("--gauntlet", type=Path, default=TARGET / "release" / "gauntlet", help="a release build (default: in cargo's target folder)")
    add("--kernels", type=Path, help="the built bench `kernels`, for the cases of that name (default: cargo builds it)")
    add("--reference", type=Path, help="folder with models/ and data/ of trained classifiers; without it the bench trains its own")
    add("--work", type=Path, default=TARGET / "peers", help="environment, models, data and runs (default: in cargo's target folder)")
    add("--out", type=Path, help="results (default: WORK/results)")
    add("--python", help="an interpreter that has the libraries already, in place of a new environment")
    given = parser.parse_args(arguments)
    problems = []
    try:
        cases = [case.name for case in chosen(given.cases)]
    except ValueError as error:
        problems.append(str(error))
    if not os.access(given.gauntlet, os.X_OK):
        problems.append(f"--gauntlet {given.gauntlet}: no such program; build it with `cargo build --release`, or name another")
    if given.reference and not (given.reference / "models").is_dir():
        problems.append(f"--reference {given.reference}: it has no folder models/")
    if problems:
        parser.error("; ".join(problems))
    work = given.work.resolve()
    return Options(
        cases=cases,
        repeats=given.repeats,
        inner=min(given.inner, given.repeats),
        threads=given.threads,
        device=given.device,
        batch=given.batch,
        limit=given.limit,
        minutes=given.minutes,
        rivals=given.rivals.split(",") if given.rivals else None,
        gauntlet=given.gauntlet.resolve(),
        kernels=given.kernels.resolve() if given.kernels else None,
        adapter=given.adapter,
        reference=given.reference.resolve() if given.reference else None,
        work=work,
        out=(given.out or work / "results").resolve(),
        python=given.python,
    )


def positive(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
