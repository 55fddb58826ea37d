"""Markdown."""

from statistics import median

from .axes import axis


def table(results: dict) -> str:
    """Every point, measured and predicted, then the model."""
    lines = ["| axis | at | attacks, s | predicted | whole command, s | peak, MiB | predicted |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, points in results["axes"].items():
        for point in points:
            cells = [name, f"{point['at']:.4g}", f"{point['seconds']:.3g}", predicted(point, "seconds", ".3g"), f"{point['command']:.3g}"]
            cells += [f"{point['peak_mib']:.0f}", predicted(point, "peak_mib", ".0f")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *model(results)]) + "\n"


def predicted(point: dict, value: str, form: str) -> str:
    """A cell; empty where the model does not speak of the point."""
    return format(point[f"predicted_{value}"], form) if f"predicted_{value}" in point else ""


def model(results: dict) -> list[str]:
    """The fitted model in words, with its errors."""
    if "seconds" not in results:
        return []
    flops, features, own = results["seconds"]
    program, images, weights, rows = results["memory"]
    points = [point for points in results["axes"].values() for point in points if "predicted_seconds" in point]
    words = []
    for value in ("seconds", "peak_mib"):
        errors = [abs(point[f"predicted_{value}"] / point[value] - 1) for point in points]
        words.append(f"error {100 * median(errors):.0f} % in the median, {100 * max(errors):.0f} % at most")
    machine = results["machine"]
    axes = ", ".join(f"{axis(name).name} ({axis(name).unit})" for name in results["axes"])
    return [
        f"seconds = passes / threads x ({flops * 1e12:.3g} ps x flops + {features * 1e9:.3g} ns x pixels + {own * 1e6:.3g} us): {words[0]}.",
        f"MiB = {program:.0f} + {images * 2**20:.3g} bytes x examples x pixels + {weights * 2**20:.3g} bytes x parameters"
        f" + {rows * 2**20:.3g} bytes x pixels x slots x threads: {words[1]}.",
        f"{machine['processor']}, {machine['threads']} threads, {machine['gauntlet']}, {machine['date']}, load {machine['load_before']} before;"
        f" medians of {results['repeats']} runs. Axes: {axes}.",
    ]
