"""The Adversarial Robustness Toolbox (Nicolae et al. 2018)."""

from collections.abc import Callable

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch, SquareAttack
from art.defences.trainer import AdversarialTrainerMadryPGD
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from . import Job


def classifier(job: Job) -> PyTorchClassifier:
    """The model as ART has it."""
    return PyTorchClassifier(
        job.model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(job.model.parameters(), lr=1e-3),
        input_shape=tuple(job.images.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if job.device == "cuda" else "cpu",
    )


def at_every_epsilon(job: Job, attack: Callable[[float], object]) -> Callable[[int], Tensor]:
    """An attack at every epsilon; ART cuts the batches itself."""
    images, labels = job.images.cpu().numpy(), job.labels.cpu().numpy()

    def run(seed: int) -> Tensor:
        np.random.seed(seed)
        torch.manual_seed(seed)
        found = [torch.from_numpy(attack(epsilon).generate(images, labels)) for epsilon in job.epsilons]
        return torch.stack(found).to(job.images.device)

    return run


def pgd(job: Job) -> Callable[[int], Tensor]:
    """PGD at every epsilon."""
    model = classifier(job)
    common = {"max_iter": job.steps, "num_random_init": 1, "batch_size": job.batch, "verbose": False}
    return at_every_epsilon(
        job, lambda epsilon: ProjectedGradientDescentPyTorch(model, eps=epsilon, eps_step=job.step_size(epsilon), **common)
    )


def square(job: Job) -> Callable[[int], Tensor]:
    """Square, with ART's own schedule of windows."""
    model = classifier(job)
    common = {"max_iter": job.steps, "batch_size": job.batch, "verbose": False}
    return at_every_epsilon(job, lambda epsilon: SquareAttack(model, eps=epsilon, **common))


def train(job: Job) -> Callable[[int], nn.Module]:
    """One epoch of adversarial training, the inner attack in the same batches."""
    trainer = AdversarialTrainerMadryPGD(
        classifier(job),
        nb_epochs=1,
        batch_size=job.batch,
        eps=job.epsilons[0],
        eps_step=job.step_size(job.epsilons[0]),
        max_iter=job.steps,
    )
    trainer.attack.set_params(batch_size=job.batch, verbose=False)
    images, labels = job.images.cpu().numpy(), job.labels.cpu().numpy()

    def run(seed: int) -> nn.Module:
        np.random.seed(seed)
        torch.manual_seed(seed)
        trainer.fit(images, labels)
        return job.model.eval()

    return run
