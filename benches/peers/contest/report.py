"""results.json and table.md."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from . import stats
from .gauntlet import DEFAULT

COLUMNS = (
    "case",
    "against",
    "ours, s",
    "theirs, s",
    "ratio",
    "95 % interval",
    "goal",
    "robust accuracy, ours",
    "theirs",
    "whole command, ours, s",
    "theirs",
    "peak MiB, ours",
    "theirs",
    "n",
)


@dataclass(frozen=True)
class Line:
    """One contestant beside gauntlet's default."""

    case: str
    contestant: str
    ours: list[float]
    theirs: list[float]
    goal: float | None
    cells: list[str]

    @property
    def ratio(self) -> float:
        """How many times longer it takes than gauntlet."""
        return stats.ratio(self.ours, self.theirs)

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return stats.interval(self.ours, self.theirs)


def gathered(entry: dict, field: str) -> list:
    """A field of all turns, end to end."""
    return [value for turn in entry["turns"] for value in turn[field]]


def accuracies(entry: dict) -> str:
    """Robust accuracies at every epsilon, from the least to the most of the measurements; of many epsilons, the mean."""
    robust = gathered(entry, "robust")
    if not robust:
        return ""
    means = [sum(row) / len(row) for row in robust]
    low, high = f"{min(means):.3f}", f"{max(means):.3f}"
    text = low if low == high else f"{low} to {high}"
    return text if len(robust[0]) == 1 else f"mean {text}"


def peak(entry: dict) -> str:
    """Peak memory of the process, and of the GPU where PyTorch says."""
    host = max(turn["peak_mib"] for turn in entry["turns"])
    device = [turn["cuda_peak_mib"] for turn in entry["turns"] if turn["cuda_peak_mib"] is not None]
    return f"{host:.0f}" + (f" (GPU {max(device):.0f})" if device else "")


def number(values: list[float]) -> str:
    """A median of seconds, to three figures."""
    return f"{median(values):.3g}" if values else ""


def lines(results: dict) -> list[Line]:
    """Everyone who was measured beside gauntlet."""
    cases = {case["name"]: case for case in results["cases"]}
    ours = {entry["case"]: entry for entry in results["entries"] if entry["contestant"] == DEFAULT and entry["turns"]}
    found = []
    for entry in results["entries"]:
        if entry["contestant"] == DEFAULT or not entry["turns"] or entry["case"] not in ours:
            continue
        us, case = ours[entry["case"]], cases[entry["case"]]
        goal = case["goal"] if entry["contestant"] == case["against"] else None
        commands = [number(gathered(side, "commands")) for side in (us, entry)]
        cells = [accuracies(us), accuracies(entry), *commands, peak(us), peak(entry)]
        found.append(Line(entry["case"], entry["contestant"], gathered(us, "seconds"), gathered(entry, "seconds"), goal, cells))
    return found


def table(results: dict) -> str:
    """The Markdown table, with what could not be measured and what does not agree below it."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for line in lines(results):
        low, high = line.interval
        goal = "" if line.goal is None else f"{line.goal:g}"
        counts = f"{len(line.ours)} / {len(line.theirs)}"
        cells = [line.case, line.contestant, number(line.ours), number(line.theirs), f"{line.ratio:.2f}", f"{low:.2f} to {high:.2f}", goal]
        rows.append("| " + " | ".join([*cells, *line.cells, counts]) + " |")
    notes = [
        f"- {entry['case']}, {entry['contestant']}: not measured. {entry['failed']}" for entry in results["entries"] if entry["failed"]
    ]
    return "\n".join([*rows, *([""] if notes or disagreements(results) else []), *notes, *disagreements(results)])


def disagreements(results: dict) -> list[str]:
    """Clean accuracies that differ by more than two examples in a thousand: then not all attacked the same thing."""
    found = []
    for case in results["cases"]:
        if case["kind"] not in ("pgd", "square", "autoattack"):
            continue
        entries = [entry for entry in results["entries"] if entry["case"] == case["name"] and entry["turns"]]
        clean = {entry["contestant"]: entry["turns"][0]["clean"] for entry in entries}
        if clean and max(clean.values()) - min(clean.values()) > 0.002:
            found.append(f"- {case['name']}: CLEAN ACCURACIES DIFFER: {clean}")
    return found


def about(results: dict) -> str:
    """The machine and the versions, in words."""
    machine = results["machine"]
    told = [turn["about"] for entry in results["entries"] for turn in entry["turns"]]
    versions = next((said["versions"] for said in told if "versions" in said), {})
    gpus = {said.get("gpu") for said in told} - {None}
    others = {name: there for name, there in versions.items() if there and there.split("+")[0] != results["pins"].get(name)}
    pieces = [
        f"{machine['processor']}, {machine['threads']} threads of {machine['cores']} cores, {machine['system']}, {machine['date']}.",
        f"{machine['gauntlet']}; " + ", ".join(f"{name} {there}" for name, there in versions.items() if there) + ".",
        f"Load average {machine['load_before']} before, {machine['load_after']} after; {machine['minutes']} minutes.",
    ]
    if (machine["load_before"] or 0) > 1:
        pieces.append("THE MACHINE WAS BUSY before the first measurement: no figure here is to be relied on.")
    pieces += [f"GPU: {', '.join(sorted(gpus))}."] if gpus else []
    pieces += [f"Not the pinned versions: {', '.join(others)}."] if others else []
    return "\n".join(pieces)


def write(results: dict, folder: Path) -> None:
    """Writes both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "table.md").write_text(f"{about(results)}\n\n{table(results)}\n")
