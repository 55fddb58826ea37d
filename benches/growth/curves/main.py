"""The measurements, the fit, and what is written."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import median

from contest import machine
from contest.process import Failed

from . import fit, plot, report
from .axes import AXES, axis
from .measure import run
from .options import Options


def main(options: Options) -> int:
    """Measures the axes, round by round. 0, or 1 where a point could not be measured."""
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"
    before = json.loads(file.read_text()) if file.is_file() else {}
    described = machine.describe(options.gauntlet, options.threads)
    failed = 0
    measured: dict[str, list[dict]] = {name: points for name, points in before.get("axes", {}).items() if name not in options.axes}
    for name in options.axes:
        measured[name] = []
        for at, point in axis(name).points(options.adapter or "").items():
            folder = options.out / "runs" / f"{name}-{at:g}"
            try:
                # The first run trains where nobody has, and is not counted.
                runs = [run(point, options, folder) for _ in range(options.repeats + 1)][1:]
            except Failed as failure:
                failed += 1
                print(f"{name} {at:g}: not measured: {failure}", flush=True)
                continue
            middle = {key: median(getattr(one, key) for one in runs) for key in asdict(runs[0])}
            spread = [min(one.seconds for one in runs), max(one.seconds for one in runs)]
            threads = point.threads or options.threads
            place = middle["flops"] / 2e6 if name == "model" else at
            measured[name].append({**middle, "at": place, "spread": spread, "threads": threads, "examples": point.examples})
            print(f"{name} {place:g}: {middle['seconds']:.3g} s of {middle['command']:.3g} s, {middle['peak_mib']:.0f} MiB", flush=True)
        # After each axis, since a later one may be interrupted.
        ordered = {row.name: measured[row.name] for row in AXES if measured.get(row.name)}
        write({"machine": described, "repeats": options.repeats, "axes": ordered}, options.out)
    print(f"\n{(options.out / 'table.md').read_text()}\n{options.out}: results.json, table.md, growth.svg")
    return 1 if failed else 0


def write(results: dict, folder: Path) -> None:
    """Fits the model to all but other devices, whose speed is their own, and writes everything."""
    fitted = [point for name, points in results["axes"].items() if name != "devices" for point in points]
    if fitted:
        for key, terms, value in (("seconds", fit.seconds, "seconds"), ("memory", fit.memory, "peak_mib")):
            results[key] = fit.least_squares([terms(point) for point in fitted], [point[value] for point in fitted])
            for point in fitted:
                point[f"predicted_{value}"] = sum(a * b for a, b in zip(results[key], terms(point), strict=True))
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "table.md").write_text(report.table(results))
    (folder / "growth.svg").write_text(plot.svg(results))
