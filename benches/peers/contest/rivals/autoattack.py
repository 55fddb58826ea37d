"""AutoAttack by its authors (Croce and Hein 2020), as RobustBench takes it from PyPI."""

from collections.abc import Callable

import torch
from pyautoattack import AutoAttack
from torch import Tensor

from . import Job


def autoattack(job: Job) -> Callable[[int], Tensor]:
    """The standard ensemble."""

    def run(seed: int) -> Tensor:
        found = []
        for epsilon in job.epsilons:
            attack = AutoAttack(job.model, norm="Linf", eps=epsilon, seed=seed, version="standard", device=job.device)
            if job.steps < 40:
                shorten(attack, job.steps)
            found.append(attack.run_standard_evaluation(job.images, job.labels, batch_size=job.batch)[0])
        return torch.stack(found)

    return run


def shorten(attack: AutoAttack, steps: int) -> None:
    """A few iterations, to warm up."""
    attack.apgd.n_iter = attack.apgd_targeted.n_iter = attack.fab.n_iter = steps
    attack.square.n_queries = 50 * steps


def square(job: Job) -> Callable[[int], Tensor]:
    """The ensemble's Square alone."""

    def run(seed: int) -> Tensor:
        found = []
        for epsilon in job.epsilons:
            attack = AutoAttack(job.model, norm="Linf", eps=epsilon, seed=seed, version="standard", device=job.device)
            attack.square.n_queries, attack.square.seed = job.steps, seed
            found.append(torch.cat([attack.square.perturb(x, y) for x, y in job.batches()]))
        return torch.stack(found)

    return run
