"""The model, and how it is fitted: least squares of relative errors, no coefficient below zero."""

from collections.abc import Sequence


def least_squares(rows: Sequence[Sequence[float]], wanted: Sequence[float]) -> list[float]:
    """Coefficients of a sum of columns, each at least 0, with the smallest sum of squared relative errors."""
    columns = list(range(len(rows[0])))
    while True:
        scaled = [[row[at] / value for at in columns] for row, value in zip(rows, wanted, strict=True)]
        found = solve(
            [[sum(row[a] * row[b] for row in scaled) for b in range(len(columns))] for a in range(len(columns))],
            [sum(row[a] for row in scaled) for a in range(len(columns))],
        )
        if min(found) >= 0 or len(columns) == 1:
            return [found[columns.index(at)] if at in columns else 0.0 for at in range(len(rows[0]))]
        columns.pop(found.index(min(found)))


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss and Jordan, the largest pivot first; each column by its own scale, since units differ by many orders."""
    size = len(right)
    scale = [matrix[at][at] ** 0.5 or 1.0 for at in range(size)]
    rows = [[matrix[a][b] / scale[a] / scale[b] for b in range(size)] + [right[a] / scale[a]] for a in range(size)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        if abs(rows[at][at]) < 1e-12:
            rows[at][at] = 1e-12
        for row in range(size):
            if row != at:
                factor = rows[row][at] / rows[at][at]
                rows[row] = [value - factor * base for value, base in zip(rows[row], rows[at], strict=True)]
    return [rows[at][size] / rows[at][at] / scale[at] for at in range(size)]


def seconds(point: dict) -> list[float]:
    """What seconds of the attacks are a sum of: arithmetic of the network, pixels that an attack moves, a pass's own cost; by threads."""
    threads = point["threads"]
    passes = point["passes"]
    return [passes * point["flops"] / threads, passes * point["features"] / threads, passes / threads]


def memory(point: dict) -> list[float]:
    """What MiB are a sum of: the program, the images, the weights, and what the rows in the slots of each thread take."""
    batch = point["slots"] * point["threads"]
    return [1.0, point["examples"] * point["features"], point["parameters"], batch * point["features"]]
