"""What grows: a row an axis. Adding an axis is adding a row, and a field of `Point` where it needs one."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Point:
    """One suite. Its epsilons are so small that every row takes every step, so that the work is known beforehand."""

    examples: int = 360
    epsilons: int = 1
    sweep: str = "exhaustive"
    attacks: int = 1
    steps: int = 40
    # Pixels a side: a multiple of 8.
    side: int = 24
    model: str = 'architecture = "small-cnn"'
    threads: int | None = None
    device: str = "cpu"

    def suite(self) -> str:
        """The suite's text. The digits are few: what trains must be less than half of the least that is attacked."""
        epsilons = [round(1e-5 * (at + 1), 9) for at in range(self.epsilons)]
        lines = [
            'title = "growth"',
            f'[data]\nsource = "digits"\nscale = {self.side // 8}\nsplit = "all"\nexamples = {self.examples}',
            f'[data.train]\nsource = "digits"\nscale = {self.side // 8}\nsplit = "train"\nexamples = 40',
            f'[[threat]]\nnorm = "linf"\nepsilons = {epsilons}\nsweep = "{self.sweep}"',
            f'[[defence]]\nname = "model"\nmodel = {{ {self.model} }}\ntrain = {{ method = "standard", epochs = 24, batch = 32 }}',
        ]
        lines += [f'[[attack]]\nkind = "pgd"\nname = "pgd-{at}"\nsteps = {self.steps}' for at in range(self.attacks)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Axis:
    """A line of points."""

    name: str
    about: str
    unit: str
    points: Callable[[str], dict[float, Point]]


BASE = Point()
MODELS = {
    "mlp": 'architecture = "mlp"',
    "small-cnn": 'architecture = "small-cnn"',
    "lenet5": 'architecture = "lenet5"',
    "resnet20": 'architecture = "resnet20"',
    "resnet32": 'architecture = "resnet32"',
}

AXES = (
    Axis("examples", "examples attacked", "examples", lambda _: {n: replace(BASE, examples=n) for n in (90, 180, 360, 720, 1440)}),
    Axis("epsilons", "radii, every one run by itself", "epsilons", lambda _: {n: replace(BASE, epsilons=n) for n in (1, 2, 4, 8)}),
    Axis(
        "descending",
        "radii of a descending sweep",
        "epsilons",
        lambda _: {n: replace(BASE, epsilons=n, sweep="descending") for n in (1, 2, 4, 8)},
    ),
    Axis("attacks", "entries of PGD", "attacks", lambda _: {n: replace(BASE, attacks=n) for n in (1, 2, 4)}),
    Axis("image", "pixels of an image", "pixels", lambda _: {n * n: replace(BASE, side=n) for n in (8, 16, 32, 48)}),
    Axis(
        "model",
        "the zoo's smaller networks",
        "million multiply-adds",
        lambda _: {at: replace(BASE, model=model, examples=128, steps=20) for at, model in enumerate(MODELS.values())},
    ),
    Axis("threads", "threads and cores", "threads", lambda _: {n: replace(BASE, threads=n) for n in (1, 2)}),
    Axis(
        "devices",
        "the processor, another device, and both",
        "devices: processor, other, both",
        lambda adapter: {
            at: replace(BASE, examples=96, steps=5, side=8, device=device)
            for at, device in enumerate(("cpu", adapter, f"cpu,{adapter}"), start=1)
        },
    ),
)


def axis(name: str) -> Axis:
    """The axis of that name."""
    return next(axis for axis in AXES if axis.name == name)
