"""Medians, and how sure their ratio is."""

import random
from statistics import median

RESAMPLES = 4000


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times longer they take, by the medians."""
    return median(theirs) / median(ours)


def interval(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of medians (percentiles; both sides drawn anew, seeded)."""
    draw = random.Random(0)
    ratios = sorted(ratio(draw.choices(ours, k=len(ours)), draw.choices(theirs, k=len(theirs))) for _ in range(RESAMPLES))
    return ratios[int(0.025 * RESAMPLES)], ratios[int(0.975 * RESAMPLES) - 1]
