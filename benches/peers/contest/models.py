"""The networks in PyTorch, with the names of gauntlet's zoo, so that both read the same safetensors file."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dense(nn.Module):
    """Two convolutions and two dense layers: LeNet-5 with max pooling (advertorch's), small-cnn with a stride."""

    def __init__(self, pooled: bool, hidden: int) -> None:
        super().__init__()
        self.pooled = pooled
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=1 if pooled else 2, padding=1)
        self.linear1 = nn.Linear(64 * (7 * 7 if pooled else 14 * 14), hidden)
        self.linear2 = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.relu(conv(x))
            x = F.max_pool2d(x, 2) if self.pooled else x
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


class Block(nn.Module):
    """A residual block (He et al. 2016); a change of shape takes a convolution, or none (option A)."""

    def __init__(self, inside: int, out: int, stride: int, option_a: bool) -> None:
        super().__init__()
        self.stride, self.new = stride, out - inside
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.option_a = option_a
        if self.new and not option_a:
            self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.new and self.option_a:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        elif self.new:
            x = self.downsample(x)
        return F.relu(out + x)


class ResNet(nn.Module):
    """Residual networks for 32x32 images: ResNet-20 (three stages, option A) and ResNet-18 (four, convolutions)."""

    def __init__(self, blocks: list[int], width: int, option_a: bool, head: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = [f"layer{stage + 1}" for stage in range(len(blocks))]
        inside = width
        for stage, count in enumerate(blocks):
            out = width << stage
            strides = [2 if stage else 1] + [1] * (count - 1)
            row = [Block(out if at else inside, out, stride, option_a) for at, stride in enumerate(strides)]
            self.add_module(self.stages[stage], nn.Sequential(*row))
            inside = out
        self.head = head
        self.add_module(head, nn.Linear(inside, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.get_submodule(self.head)(x.mean((2, 3)))


class WideBlock(nn.Module):
    """A block of a wide residual network; the shortcut's convolution reads the activated input."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.convShortcut = nn.Conv2d(inside, out, 1, stride, bias=False) if inside != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (self.convShortcut(active) if self.convShortcut else x)


class WideResNet(nn.Module):
    """WRN-28-10 (Zagoruyko and Komodakis 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        inside = 16
        for stage, out in enumerate((160, 320, 640)):
            row = [WideBlock(out if at else inside, out, 2 if stage and not at else 1) for at in range(4)]
            self.add_module(f"block{stage + 1}", nn.ModuleDict({"layer": nn.Sequential(*row)}))
            inside = out
        self.bn1 = nn.BatchNorm2d(inside)
        self.fc = nn.Linear(inside, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for stage in (self.block1, self.block2, self.block3):
            x = stage["layer"](x)
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def sequential_cnn() -> nn.Sequential:
    """The MNIST network of fast_adversarial; its layers are spelled out in gauntlet's suite too."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)),
    )


class Normalized(nn.Module):
    """Mean and deviation of the channels before a network, as a part of the model."""

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


@dataclass(frozen=True)
class Network:
    """A classifier of the bench."""

    build: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    # Its checkpoint in the reference folder; without one it is made: trained for a moment, adversarially at this radius, or not at all.
    checkpoint: str | None = None
    radius: float = 0.0
    trained: bool = True
    normalize: tuple[tuple[float, ...], tuple[float, ...]] | None = None


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
NETWORKS: dict[str, Network] = {
    "lenet5-pgd": Network(lambda: Dense(True, 200), GREY, "mnist-lenet5-pgd.pt", radius=0.3),
    "lenet5-standard": Network(lambda: Dense(True, 200), GREY, "mnist-lenet5-standard.pt"),
    "cnn-pgd": Network(sequential_cnn, GREY, "mnist-cnn-pgd.pth", radius=0.3),
    "small-cnn": Network(lambda: Dense(False, 128), GREY, radius=0.1),
    "resnet20": Network(
        lambda: ResNet([3, 3, 3], 16, True, "linear"),
        COLOUR,
        checkpoint="cifar10-resnet20-standard.th",
        normalize=IMAGENET,
    ),
    "resnet18": Network(lambda: ResNet([2, 2, 2, 2], 64, False, "fc"), COLOUR, trained=False),
    "wide-resnet-28-10": Network(WideResNet, COLOUR, trained=False),
}
