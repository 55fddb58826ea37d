"""The loop that one writes by hand in PyTorch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Job


def ascend(model: nn.Module, x: Tensor, adversarial: Tensor, labels: Tensor, epsilon: float, size: float) -> Tensor:
    """One step of PGD under l-infinity (Madry et al. 2018)."""
    adversarial = adversarial.detach().requires_grad_()
    loss = F.cross_entropy(model(adversarial), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, adversarial)
    with torch.no_grad():
        return moved(adversarial, x, gradient, epsilon, size)


def moved(adversarial: Tensor, x: Tensor, gradient: Tensor, epsilon: float, size: float) -> Tensor:
    """Along the gradient's sign, back into the ball, then to pixels."""
    return torch.min(torch.max(adversarial + size * gradient.sign(), x - epsilon), x + epsilon).clamp_(0, 1)


def start(x: Tensor, epsilon: float) -> Tensor:
    """A uniform point of the ball, clipped to pixels."""
    return (x + torch.empty_like(x).uniform_(-epsilon, epsilon)).clamp_(0, 1)


def search(model: nn.Module, x: Tensor, labels: Tensor, epsilon: float, steps: int) -> Tensor:
    """PGD: random start, steps of 2.5 epsilon / steps, the last point."""
    adversarial = start(x, epsilon)
    for _ in range(steps):
        adversarial = ascend(model, x, adversarial, labels, epsilon, 2.5 * epsilon / steps)
    return adversarial


def pgd(job: Job) -> Callable[[int], Tensor]:
    """PGD at every epsilon."""

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        at = (torch.cat([search(job.model, x, y, epsilon, job.steps) for x, y in job.batches()]) for epsilon in job.epsilons)
        return torch.stack(list(at))

    return run


def step(job: Job) -> Callable[[int], None]:
    """Steps of PGD on one batch."""
    x, labels = job.batches()[0]
    epsilon = job.epsilons[0]

    def run(steps: int) -> None:
        adversarial = start(x, epsilon)
        for _ in range(steps):
            adversarial = ascend(job.model, x, adversarial, labels, epsilon, job.step_size(epsilon))

    return run


class Step(nn.Module):
    """The step alone, as a module, so that it can be compiled."""

    def forward(self, adversarial: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        """One step of 0.01 in a ball of 0.1."""
        return moved(adversarial, x, gradient, 0.1, 0.01)


def kernel(job: Job) -> Callable[[int], None]:
    """Steps along a gradient that is there already."""
    gradient = torch.randn_like(job.images)

    @torch.no_grad()
    def run(steps: int) -> None:
        adversarial = job.images.clone()
        for _ in range(steps):
            adversarial = job.model(adversarial, job.images, gradient)

    return run


def forward(job: Job) -> Callable[[int], None]:
    """Draws of noise on one batch, each decided."""
    x, labels = job.batches()[0]

    @torch.inference_mode()
    def run(steps: int) -> None:
        wrong = torch.zeros_like(labels, dtype=torch.bool)
        for _ in range(steps):
            wrong |= job.model(start(x, 1e-6)).argmax(1) != labels

    return run


def train_adversarially(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, steps: int, batch: int) -> None:
    """One epoch of Adam (1e-3) on PGD's examples, or for 0 steps on the images themselves; what fills no batch is left out."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for chosen in torch.randperm(len(images)).to(images.device).split(batch):
        if len(chosen) < batch:
            break
        x, y = images[chosen], labels[chosen]
        if steps:
            # Batch norms keep their statistics while an example is sought.
            model.eval()
            x = search(model, x, y, epsilon, steps)
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()


def train(job: Job) -> Callable[[int], nn.Module]:
    """One epoch of adversarial training."""

    def run(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        train_adversarially(job.model, job.images, job.labels, job.epsilons[0], job.steps, job.batch)
        return job.model

    return run
