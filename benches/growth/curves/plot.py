"""The plot: a small picture an axis, measured dots and the model's line, time above and memory below."""

from math import log10

from .axes import axis

# Okabe and Ito's colours, which the colour-blind can tell apart.
TIME, MEMORY, INK, GRID = "#0072B2", "#D55E00", "#222222", "#dddddd"
WIDTH, HEIGHT, LEFT, TOP, GAP = 150, 110, 46, 40, 22
ROWS = (("seconds", "attacks, s", TIME), ("peak_mib", "peak, MiB", MEMORY))


def svg(results: dict) -> str:
    """The whole plot as a file's text."""
    axes = results["axes"]
    width, height = LEFT + len(axes) * (WIDTH + GAP + LEFT), TOP + len(ROWS) * (HEIGHT + 2 * GAP) + GAP
    machine = results["machine"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 18, f"Measured (dots, medians of {results['repeats']}) and the model (line): {machine['processor']}, {machine['threads']} threads"),
    ]
    for column, (name, points) in enumerate(axes.items()):
        for row, (value, label, colour) in enumerate(ROWS):
            left, top = LEFT + column * (WIDTH + GAP + LEFT), TOP + row * (HEIGHT + 2 * GAP)
            parts += panel(left, top, points, value, colour)
            parts.append(text(left, top - 4, label))
            parts.append(text(left + WIDTH / 2, top + HEIGHT + 26, name if name == axis(name).unit else f"{name}: {axis(name).unit}", anchor="middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(left: float, top: float, points: list[dict], value: str, colour: str) -> list[str]:
    """One picture; both sides logarithmic, so that proportional growth is a line of slope one."""
    named = [point[key] for point in points for key in (value, f"predicted_{value}") if point.get(key)]
    across = span([point["at"] for point in points])
    down = span(named)

    def place(at: float, number: float) -> tuple[float, float]:
        return left + WIDTH * share(at, across), top + HEIGHT * (1 - share(number, down))

    parts = [f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GRID}"/>']
    low, high = (place(points[0]["at"], number)[1] + 4 for number in (min(named), max(named)))
    parts.append(text(left - 4, low, f"{min(named):.3g}", anchor="end"))
    # Two labels on one spot are none.
    if low - high > 12:
        parts.append(text(left - 4, high, f"{max(named):.3g}", anchor="end"))
    for point in points:
        parts.append(text(place(point["at"], named[0])[0], top + HEIGHT + 13, f"{point['at']:.4g}", anchor="middle", size=9))
    line = [place(point["at"], point[f"predicted_{value}"]) for point in points if f"predicted_{value}" in point]
    if line:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-opacity="0.5" stroke-width="2"/>')
    for point in points:
        x, y = place(point["at"], point[value])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
    return parts


def span(numbers: list[float]) -> tuple[float, float]:
    """Where a logarithmic axis begins and ends, with a margin; never less than a factor of 1.5."""
    low, high = log10(max(min(numbers), 1e-9)), log10(max(max(numbers), 1e-9))
    margin = max(0.08 * (high - low), (log10(1.5) - (high - low)) / 2)
    return low - margin, high + margin


def share(number: float, between: tuple[float, float]) -> float:
    """How far along its axis a number lies."""
    low, high = between
    return (log10(max(number, 1e-9)) - low) / (high - low)


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 11) -> str:
    """A line of text."""
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{words}</text>'
