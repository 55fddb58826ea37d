"""The contest: material, rounds of turns, results."""

import hashlib
import os
import subprocess
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from . import gauntlet, machine, report, turns
from .cases import Case, case
from .environment import pins
from .options import REPOSITORY, Options
from .process import Failed
from .turns import PEERS, Measured


class Contest:
    """Who has measured what so far."""

    def __init__(self, options: Options, python: str, material: Path) -> None:
        self.options, self.python, self.material = options, python, material
        self.cases = [case(name) for name in options.cases]
        self.machine = machine.describe(options.gauntlet, options.threads)
        self.measured: dict[tuple[str, str], list[Measured]] = defaultdict(list)
        self.failed: dict[tuple[str, str], str] = {}
        self.took: dict[tuple[str, str], float] = {}
        self.began = time.monotonic()

    def contestants(self, what: Case) -> list[str]:
        """Gauntlet's ways, and the rivals that are asked for."""
        wanted = self.options.rivals
        rivals = what.rivals_on(self.options.device)
        if wanted is not None:
            more = [name for name in wanted if ":" in name and name.split(":")[0] in rivals and name not in rivals]
            rivals = [*(name for name in rivals if name in wanted), *more]
        return [*gauntlet.ways(what), *rivals]

    def turn(self, what: Case, name: str, done: int) -> None:
        """One contestant's turn at a case."""
        key = what.name, name
        expected = self.took.get(key, 0.0)
        if key in self.failed or (self.options.minutes and time.monotonic() - self.began + expected > 60 * self.options.minutes):
            return
        inner = min(self.options.inner, self.options.repeats - done)
        began = time.monotonic()
        try:
            if name.startswith("gauntlet"):
                measured = gauntlet.measure(what, name, self.options, self.material, done, inner)
            else:
                measured = turns.rival(what, name, self.options, self.python, self.material, done, inner)
        except Failed as failure:
            self.failed[key] = str(failure)
            print(f"  {what.name:28} {name:22} not measured: {failure}", flush=True)
            return
        self.took[key] = time.monotonic() - began
        self.measured[key].append(measured)
        seconds = ", ".join(f"{second:.4g}" for second in measured.seconds)
        print(f"  {what.name:28} {name:22} {seconds} s   {measured.peak_mib:.0f} MiB", flush=True)

    def run(self) -> None:
        """All rounds; who begins changes from round to round."""
        for number, done in enumerate(range(0, self.options.repeats, self.options.inner)):
            print(f"round {number + 1}", flush=True)
            for what in self.cases:
                names = self.contestants(what)
                first = number % len(names)
                for name in names[first:] + names[:first]:
                    self.turn(what, name, done)
            report.write(self.results(), self.options.out)

    def results(self) -> dict:
        """Everything, as results.json has it."""
        entries = []
        for what in self.cases:
            for name in self.contestants(what):
                turns = self.measured.get((what.name, name), [])
                entries.append(
                    {
                        "case": what.name,
                        "contestant": name,
                        "turns": [asdict(turn) for turn in turns],
                        "failed": self.failed.get((what.name, name)),
                    }
                )
        options = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self.options).items()}
        return {
            "machine": {**self.machine, "load_after": machine.load(), "minutes": round((time.monotonic() - self.began) / 60, 2)},
            "options": options,
            "pins": pins(),
            "cases": [asdict(what) for what in self.cases],
            "entries": entries,
        }


def prepare(options: Options, python: str) -> Path:
    """Makes what the cases read, in a process of its own, and builds the kernels' bench where a case wants it."""
    if not options.kernels and any(case(name).kind == "kernel" for name in options.cases):
        subprocess.run(["cargo", "bench", "--quiet", "--bench", "kernels", "--no-run"], cwd=REPOSITORY, check=True)
    origin = str(options.reference) if options.reference else "-"
    name = f"reference-{hashlib.sha256(origin.encode()).hexdigest()[:8]}" if options.reference else "made"
    folder = options.work / "material" / name
    networks = sorted({case(name).model for name in options.cases} - {""})
    environment = {**os.environ, "PYTHONPATH": str(PEERS), "OMP_NUM_THREADS": str(options.threads)}
    subprocess.run([python, "-m", "contest.material", str(folder), origin, *networks], check=True, env=environment)
    return folder


def main(options: Options, python: str) -> int:
    """Runs the contest. 0, or 1 where a contestant could not be measured, or 3 where there is nothing to measure on."""
    if lack := machine.missing(python, options.device):
        print(f"{lack}: nothing was measured")
        return 3
    # Compiled models are kept between processes, as they are between a user's.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(options.work / "inductor"))
    contest = Contest(options, python, prepare(options, python))
    contest.run()
    results = contest.results()
    report.write(results, options.out)
    print()
    print(report.table(results))
    plotted = subprocess.run([python, "-m", "contest.plot", options.out], env={**os.environ, "PYTHONPATH": str(PEERS)}, check=False)
    print(f"\n{options.out}: results.json, table.md{', ratios.svg, ratios.png' if plotted.returncode == 0 else ''}")
    return 1 if contest.failed else 0
