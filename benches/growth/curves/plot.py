"""The plot: a small picture an axis, measured dots and the model's line, time above and memory below."""

from math import log10

from .axes import axis

# Okabe and Ito's colours, which the colour-blind can tell apart.
TIME, MEMORY, INK, GRID = "#0072B2", "#D55E00", "#222222", "#dddddd"
WIDTH, HEIGHT, LEFT, TOP, GAP = 150, 110, 46, 40, 22
# Axes side by side; the others stand below.
COLUMNS = 4
# Numbers along an axis that are nearer than this would run into each other.
APART = 26
ROWS = (("seconds", "attacks, s", TIME), ("peak_mib", "peak, MiB", MEMORY))


def svg(results: dict) -> str:
    """The whole plot as a file's text."""
    axes = results["axes"]
    tall = len(ROWS) * (HEIGHT + 2 * GAP) + GAP
    width = LEFT + min(len(axes), COLUMNS) * (WIDTH + GAP + LEFT)
    height = TOP + -(-len(axes) // COLUMNS) * tall
    machine = results["machine"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 18, f"Measured (dots, medians of {results['repeats']}) and the model (lines): {machine['processor']}, {machine['threads']} threads"),
    ]
    for number, (name, points) in enumerate(axes.items()):
        column, band = number % COLUMNS, number // COLUMNS
        points = sorted(points, key=lambda point: point["at"])
        for row, (value, label, colour) in enumerate(ROWS):
            left, top = LEFT + column * (WIDTH + GAP + LEFT), TOP + band * tall + row * (HEIGHT + 2 * GAP)
            # Models differ in more than their multiply-adds: no line leads from one to the next.
            parts += panel(left, top, points, value, colour, joined=name != "model")
            parts.append(text(left, top - 4, label))
            parts.append(text(left + WIDTH / 2, top + HEIGHT + 26, name if name == axis(name).unit else f"{name}: {axis(name).unit}", anchor="middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(left: float, top: float, points: list[dict], value: str, colour: str, *, joined: bool) -> list[str]:
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
    last = float("-inf")
    for point in points:
        x = place(point["at"], named[0])[0]
        if x - last >= APART:
            parts.append(text(x, top + HEIGHT + 13, f"{point['at']:.3g}" if point["at"] < 100 else f"{point['at']:.0f}", anchor="middle", size=9))
            last = x
    line = [place(point["at"], point[f"predicted_{value}"]) for point in points if f"predicted_{value}" in point]
    if not joined:
        parts += [f'<path d="M{x - 6:.1f},{y:.1f}h12" stroke="{colour}" stroke-opacity="0.5" stroke-width="2"/>' for x, y in line]
    elif line:
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
