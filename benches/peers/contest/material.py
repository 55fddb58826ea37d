"""Weights and images that every contestant reads: from the reference folder, or made here.

`python -m contest.material FOLDER REFERENCE|- NETWORK...` writes FOLDER/<network>.safetensors, <network>.npz (images and labels),
<network>-own.npz (512 of them, labelled as the network decides, so that no row is spared by being misclassified) and, for small-cnn,
small-cnn-train.npz (60,000 images).
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from .models import GREY, NETWORKS, Network, Normalized
from .rivals.torch import train_adversarially

OWN, TRAINING = 512, 60_000
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def load(name: str, folder: Path) -> nn.Module:
    """A network with its weights, normalisation before it, fixed."""
    network = NETWORKS[name]
    model = network.build()
    model.load_state_dict(load_file(folder / f"{name}.safetensors"), strict=False)
    if network.normalize:
        model = Normalized(model, *network.normalize)
    return model.eval().requires_grad_(False)


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] as NCHW, and labels."""
    archive = np.load(path)
    return torch.from_numpy(archive["images"]).permute(0, 3, 1, 2).contiguous().float() / 255, torch.from_numpy(archive["labels"]).long()


def write(path: Path, images: Tensor, labels: Tensor) -> None:
    """The other way round: u8, NHWC."""
    pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.savez(path, images=pixels, labels=labels.numpy().astype(np.int64))


def drawn(shape: tuple[int, int, int], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ten classes of smooth images with noise over them: easy, but not so easy that no radius breaks them."""
    prototypes = torch.rand(10, shape[0], 6, 6, generator=torch.Generator().manual_seed(7))
    prototypes = F.interpolate(prototypes, shape[1:], mode="bilinear", align_corners=False)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    noise = torch.randn(count, *shape, generator=generator)
    images = (prototypes[labels] + 0.2 * noise).clamp(0, 1)
    return (images * 255).round() / 255, labels


def idx(folder: Path) -> tuple[Tensor, Tensor]:
    """The training images of an IDX folder."""
    pixels = np.frombuffer(gzip.open(folder / "train-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    labels = np.frombuffer(gzip.open(folder / "train-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    return torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy()).float() / 255, torch.from_numpy(labels.astype(np.int64))


def evaluation(name: str, network: Network, reference: Path | None) -> tuple[Tensor, Tensor]:
    """The images that are attacked."""
    files = {"small-cnn": "fashion-1000.npz", "resnet20": "cifar10-300.npz", "resnet18": "cifar10-300.npz"}
    grey = "mnist-1000.npz" if network.shape == GREY else "cifar10-300.npz"
    path = reference and reference / "data" / files.get(name, grey)
    return read(path) if path and path.is_file() else drawn(network.shape, 1000, seed=1)


def training(network: Network, reference: Path | None, count: int) -> tuple[Tensor, Tensor]:
    """Images to train on."""
    folder = reference and reference / "data" / "fashion-mnist"
    if network.shape == GREY and folder and (folder / "train-images-idx3-ubyte.gz").is_file():
        images, labels = idx(folder)
        return images[:count], labels[:count]
    return drawn(network.shape, count, seed=2)


def checkpoint(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors, without the names of wrappers around it."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    tensors = content.get("state_dict", content)
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def calibrate(model: nn.Module, images: Tensor) -> None:
    """Sets the statistics of the batch norms to those of some images: random weights whose activations neither vanish nor explode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(images)


def weights(network: Network, reference: Path | None) -> dict[str, Tensor]:
    """A network's tensors: the reference's, or trained here for a moment, or random."""
    path = reference and network.checkpoint and reference / "models" / network.checkpoint
    if path and path.is_file():
        return checkpoint(path)
    torch.manual_seed(0)
    model = network.build()
    if network.trained:
        count = 4_000 if network.shape == GREY else 2_000
        images, labels = (part.to(DEVICE) for part in training(network, reference, count))
        whole = (Normalized(model, *network.normalize) if network.normalize else model).to(DEVICE)
        # A radius that is too large at once teaches nothing: it grows over the epochs.
        for share in (0.3, 1.0):
            train_adversarially(whole, images, labels, network.radius * share, steps=4 if network.radius else 0, batch=64)
    else:
        calibrate(model, drawn(network.shape, 64, seed=2)[0])
    return model.cpu().state_dict()


def make(name: str, folder: Path, reference: Path | None) -> None:
    """Writes what a network's cases read."""
    network = NETWORKS[name]
    print(f"making the material of {name}", flush=True)
    images, labels = evaluation(name, network, reference)
    tensors = {key: tensor.contiguous() for key, tensor in weights(network, reference).items() if tensor.is_floating_point()}
    save_file(tensors, folder / f"{name}.safetensors")
    model = load(name, folder).to(DEVICE)
    # Fewer images than rows: the same ones again, moved aside.
    turns = -(-OWN // len(images))
    own = torch.cat([images.roll(2 * turn, dims=3) for turn in range(turns)])[:OWN]
    decided = decide(model, own)
    write(folder / f"{name}-own.npz", own, decided)
    if name == "small-cnn":
        write(folder / f"{name}-train.npz", *training(network, reference, TRAINING))
    write(folder / f"{name}.npz", *((images, labels) if network.trained else (own, decided)))


def decide(model: nn.Module, images: Tensor) -> Tensor:
    """The model's classes."""
    with torch.no_grad():
        return torch.cat([model(batch.to(DEVICE)).argmax(1).cpu() for batch in images.split(64)])


if __name__ == "__main__":
    destination, origin = Path(sys.argv[1]), None if sys.argv[2] == "-" else Path(sys.argv[2])
    destination.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[3:]:
        # The .npz is written last: where it is, all is there.
        if not (destination / f"{wanted}.npz").is_file():
            make(wanted, destination, origin)
