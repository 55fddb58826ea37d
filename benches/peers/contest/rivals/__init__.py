"""The rivals, a module each: what they do under a case's kind is a function of that name, `Job -> Callable[[int], Tensor]`.

What it returns takes a seed, does the measured work, and gives the adversarial examples of every epsilon, or for `train` the network.
`step` and `forward` give back a function of the number of steps instead.
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn


@dataclass(frozen=True)
class Job:
    """What a rival is to do, with everything on the device."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    epsilons: tuple[float, ...]
    steps: int
    batch: int

    def at(self, **changes: object) -> "Job":
        """The same with changes."""
        return replace(self, **changes)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self.images.device.type

    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """Images and labels, a batch at a time."""
        return list(zip(self.images.split(self.batch), self.labels.split(self.batch), strict=True))

    def step_size(self, epsilon: float) -> float:
        """PGD's: 2.5 epsilon / steps."""
        return 2.5 * epsilon / self.steps
