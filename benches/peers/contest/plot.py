"""`python -m contest.plot FOLDER`: draws results.json as ratios.svg and ratios.png."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

from .report import Line, lines  # noqa: E402

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw(results: dict, folder: Path) -> None:
    """A point a rival with its interval, a row each, on a logarithmic axis."""
    rows = [line for line in lines(results) if not line.contestant.startswith("gauntlet")]
    tools = sorted({line.contestant for line in rows})
    pyplot.rcParams.update({"font.size": 9, "svg.hashsalt": "peers", "svg.fonttype": "none"})
    figure, axes = pyplot.subplots(figsize=(8, 1.4 + 0.26 * len(rows)), layout="constrained")
    for at, line in enumerate(rows):
        point(axes, line, at, COLOURS[tools.index(line.contestant) % len(COLOURS)])
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.set_yticks(range(len(rows)), [f"{line.case}  –  {line.contestant}" for line in rows])
    axes.invert_yaxis()
    # Room for the numbers beside the points.
    axes.margins(x=0.12)
    axes.set_xlabel("time of the rival / time of gauntlet: right of the line gauntlet is faster; diamonds are goals")
    machine = results["machine"]
    axes.set_title(f"{machine['processor']}, {machine['threads']} threads, {results['options']['device']}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", which="both", color="#eeeeee")
    axes.set_axisbelow(True)
    for suffix, metadata in (("svg", {"Date": None}), ("png", None)):
        figure.savefig(folder / f"ratios.{suffix}", dpi=150, metadata=metadata)


def point(axes: pyplot.Axes, line: Line, at: int, colour: str) -> None:
    """One rival: interval, ratio, and the goal."""
    low, high = line.interval
    axes.plot([low, high], [at, at], color=colour, linewidth=2)
    axes.plot(line.ratio, at, "o", color=colour, markersize=5)
    axes.annotate(f"{line.ratio:.2f}", (high, at), xytext=(5, -3), textcoords="offset points", fontsize=8, color=colour)
    if line.goal is not None:
        axes.plot(line.goal, at, "D", color="none", markeredgecolor="#444444", markersize=5)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    draw(json.loads((where / "results.json").read_text()), where)
