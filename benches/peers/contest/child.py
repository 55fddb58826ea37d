"""One rival's turn, in its own process: loads, warms up, measures, writes what came out.

`python -m contest.child TURN`, TURN being a JSON object; see `turns.rival`.
"""

import copy
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from .cases import Case, case
from .material import load, read
from .models import NETWORKS
from .rivals import Job
from .rivals.torch import Step, pgd

PACKAGES = ("torch", "foolbox", "torchattacks", "adversarial-robustness-toolbox", "pyautoattack", "numpy")

# Values of an image of 224x224 pixels.
PHOTOGRAPH = 150_528


@dataclass(frozen=True)
class Turn:
    """What a rival's process is to do."""

    case: str
    rival: str
    device: str
    threads: int
    seed: int
    inner: int
    batch: int
    limit: int | None
    material: str
    report: str


class Mixed(nn.Module):
    """A model in bfloat16 where autocast deems it safe."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.model(x).float()


def in_mode(model: nn.Module, mode: str, device: str) -> nn.Module:
    """Sets PyTorch up as a mode such as `compile+tf32` says."""
    words = mode.split("+")
    tf32 = "tf32" in words
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    model = Mixed(model) if "amp" in words else model
    model = model.to(device)
    return torch.compile(model) if "compile" in words else model


def clock(device: str) -> float:
    """Seconds, once the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(device: str, work: Callable[[], object]) -> tuple[float, object]:
    """How long some work takes, and what it gives."""
    began = clock(device)
    result = work()
    return clock(device) - began, result


def standing(model: nn.Module, job: Job, found: Tensor) -> list[float]:
    """Robust accuracy at every epsilon, over all images: those decided rightly before and after. Refuses what lies outside of the ball."""
    right = decisions(model, job.images, job.batch) == job.labels
    shares = []
    for epsilon, adversarial in zip(job.epsilons, found, strict=True):
        excess = (adversarial - job.images).abs().max().item() - epsilon
        if excess > 1e-5 or adversarial.min() < 0 or adversarial.max() > 1:
            raise RuntimeError(f"an example leaves the ball of {epsilon} by {excess}, or the range of pixels")
        shares.append((right & (decisions(model, adversarial, job.batch) == job.labels)).double().mean().item())
    return shares


@torch.no_grad()
def decisions(model: nn.Module, images: Tensor, batch: int) -> Tensor:
    """The model's classes."""
    return torch.cat([model(part).argmax(1) for part in images.split(batch)])


def accuracy(model: nn.Module, job: Job) -> float:
    """Clean accuracy."""
    return (decisions(model, job.images, job.batch) == job.labels).double().mean().item()


def slopes(what: Case, job: Job, turn: Turn, action: Callable) -> dict:
    """Seconds of one step: a long run less a short one."""
    run = action(job)
    run(3)
    seconds = []
    for _ in range(turn.inner):
        short, _ = timed(turn.device, lambda: run(1))
        long, _ = timed(turn.device, lambda: run(what.steps))
        seconds.append((long - short) / (what.steps - 1))
    return {"seconds": seconds, "robust": [], "clean": None, "warm_up": 0.0}


def attacks(what: Case, job: Job, turn: Turn, action: Callable) -> dict:
    """Seconds of whole attacks; their verdicts, taken afterwards, are not counted."""
    first = job.at(images=job.images[: job.batch], labels=job.labels[: job.batch], epsilons=job.epsilons[-1:])
    warm_up, _ = timed(turn.device, lambda: action(first.at(steps=20 if what.kind == "square" else 3))(0))
    run = action(job)
    seconds, robust = [], []
    for seed in range(turn.seed, turn.seed + turn.inner):
        took, found = timed(turn.device, lambda seed=seed: run(seed))
        seconds.append(took)
        robust.append(standing(job.model, job, found))
    return {"seconds": seconds, "robust": robust, "clean": accuracy(job.model, job), "warm_up": warm_up}


def trainings(what: Case, job: Job, turn: Turn, action: Callable) -> dict:
    """Seconds of an epoch; the network that comes out meets PGD-40."""
    images, labels = (part[: turn.limit].to(turn.device) for part in read(Path(turn.material) / f"{what.model}-train.npz"))
    few = job.at(images=images[: 2 * job.batch], labels=labels[: 2 * job.batch])
    warm_up, _ = timed(turn.device, lambda: action(few.at(model=copy.deepcopy(job.model)))(0))
    seconds, robust, clean = [], [], []
    for seed in range(turn.seed, turn.seed + turn.inner):
        run = action(job.at(model=copy.deepcopy(job.model), images=images, labels=labels))
        took, model = timed(turn.device, lambda run=run, seed=seed: run(seed))
        seconds.append(took)
        after = job.at(model=model.requires_grad_(False), steps=40, batch=min(job.batch, len(job.images)))
        robust.append(standing(model, after, pgd(after)(seed)))
        clean.append(accuracy(model, after))
    return {"seconds": seconds, "robust": robust, "clean": clean[0], "warm_up": warm_up}


def prepare(what: Case, turn: Turn, mode: str) -> Job:
    """The case on the device."""
    folder = Path(turn.material)
    if what.kind == "kernel":
        images = torch.rand(what.batch_on(turn.device), PHOTOGRAPH, device=turn.device)
        return Job(in_mode(Step(), mode, turn.device), images, images, what.epsilons, what.steps, len(images))
    suffix = "-own" if what.is_slope else ""
    images, labels = read(folder / f"{what.model}{suffix}.npz")
    count = what.batch_on(turn.device) if what.is_slope else min(what.examples, turn.limit or what.examples)
    images, labels = images[:count].to(turn.device), labels[:count].to(turn.device)
    if what.kind == "train":
        torch.manual_seed(turn.seed)
        model, batch = NETWORKS[what.model].build(), what.batch_on(turn.device)
    else:
        model, batch = load(what.model, folder), turn.batch if turn.device == "cpu" else len(images)
    model = in_mode(model, mode, turn.device)
    return Job(model, images, labels, what.epsilons, what.steps, len(images) if what.is_slope else batch)


def version(package: str) -> str | None:
    """A package's version, where it is there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def take(turn: Turn) -> dict:
    """Does it."""
    torch.set_num_threads(turn.threads)
    what = case(turn.case)
    tool, _, mode = turn.rival.partition(":")
    module = importlib.import_module(f".rivals.{tool}", __package__)
    measure = slopes if what.is_slope else trainings if what.kind == "train" else attacks
    report = measure(what, prepare(what, turn, mode), turn, getattr(module, what.kind))
    cuda = turn.device == "cuda"
    return {
        **report,
        "cuda_peak_mib": torch.cuda.max_memory_allocated() / 2**20 if cuda else None,
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "versions": {package: version(package) for package in PACKAGES},
    }


if __name__ == "__main__":
    asked = Turn(**json.loads(sys.argv[1]))
    Path(asked.report).write_text(json.dumps(take(asked)))
