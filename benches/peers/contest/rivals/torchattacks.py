"""torchattacks (Kim 2020)."""

from collections.abc import Callable

import torch
import torchattacks
from torch import Tensor
from torchattacks.attack import Attack

from . import Job


def over_batches(job: Job, attack: Callable[[float, int], Attack]) -> Callable[[int], Tensor]:
    """An attack at every epsilon, a batch at a time."""

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        at = (torch.cat([attack(epsilon, seed)(x, y) for x, y in job.batches()]) for epsilon in job.epsilons)
        return torch.stack(list(at))

    return run


def pgd(job: Job) -> Callable[[int], Tensor]:
    """PGD at every epsilon."""
    return over_batches(job, lambda epsilon, _: torchattacks.PGD(job.model, eps=epsilon, alpha=job.step_size(epsilon), steps=job.steps))


def square(job: Job) -> Callable[[int], Tensor]:
    """Square with the windows of 10,000 queries, as AutoAttack has them."""
    return over_batches(
        job,
        lambda epsilon, seed: torchattacks.Square(job.model, eps=epsilon, n_queries=job.steps, resc_schedule=False, seed=seed),
    )


def autoattack(job: Job) -> Callable[[int], Tensor]:
    """The ensemble with its authors' settings; torchattacks' own AutoAttack runs 10 iterations of its parts in place of 100."""
    parts = torchattacks
    steps = job.steps if job.steps < 40 else 100

    def ensemble(epsilon: float, seed: int) -> Attack:
        common = {"eps": epsilon, "norm": "Linf", "seed": seed, "n_restarts": 1}
        return parts.MultiAttack(
            [
                parts.APGD(job.model, steps=steps, loss="ce", **common),
                parts.APGDT(job.model, steps=steps, n_classes=10, **common),
                parts.FAB(job.model, steps=steps, multi_targeted=True, n_classes=10, **common),
                parts.Square(job.model, n_queries=50 * steps, resc_schedule=False, **common),
            ]
        )

    return over_batches(job, ensemble)
