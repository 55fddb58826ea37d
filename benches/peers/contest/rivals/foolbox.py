"""Foolbox (Rauber et al. 2020): one call with all epsilons, as its documentation draws curves."""

from collections.abc import Callable

import foolbox
import torch
from torch import Tensor

from . import Job


def pgd(job: Job) -> Callable[[int], Tensor]:
    """PGD at every epsilon."""
    model = foolbox.PyTorchModel(job.model, bounds=(0, 1), device=job.device)
    attack = foolbox.attacks.LinfPGD(rel_stepsize=2.5 / job.steps, steps=job.steps, random_start=True)

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        batches = [attack(model, x, y, epsilons=list(job.epsilons))[1] for x, y in job.batches()]
        return torch.cat([torch.stack(clipped) for clipped in batches], dim=1)

    return run
