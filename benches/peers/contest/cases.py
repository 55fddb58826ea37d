"""What is measured: a row a case. Adding a case is adding a row."""

from dataclasses import dataclass

# PyTorch as its users have it on a GPU: f32, TF32, compiled, compiled with TF32, mixed precision with TF32.
CUDA_MODES = ("torch", "torch:tf32", "torch:compile", "torch:compile+tf32", "torch:amp+tf32")
LIBRARIES = ("torch", "torchattacks", "foolbox", "art")
TWELVE = tuple(round(0.4 * k / 11, 6) for k in range(12))


@dataclass(frozen=True)
class Case:
    """One thing to do, the same for every contestant."""

    name: str
    about: str
    # step, forward, kernel: seconds of one step of a batch, net of everything else; pgd, square, autoattack: seconds of the attack;
    # train: seconds of the epoch.
    kind: str
    model: str
    rivals: tuple[str, ...]
    # The rival that the ratio to watch is against, and that ratio.
    against: str
    goal: float
    groups: tuple[str, ...] = ("cpu",)
    examples: int = 1000
    epsilons: tuple[float, ...] = (0.3,)
    # Gradient steps, or queries; of a slope the longer of the two runs whose difference is measured.
    steps: int = 40
    # step and forward: rows at once on the CPU and on a GPU; train: rows of a batch.
    batches: tuple[int, int] = (128, 512)
    cuda_rivals: tuple[str, ...] | None = None

    @property
    def is_slope(self) -> bool:
        """Whether two lengths are run, and their difference is what counts."""
        return self.kind in ("step", "forward", "kernel")

    def rivals_on(self, device: str) -> tuple[str, ...]:
        """Who else does it."""
        return self.cuda_rivals if device == "cuda" and self.cuda_rivals else self.rivals

    def batch_on(self, device: str) -> int:
        """Rows at once of a step."""
        return self.batches[device == "cuda"]


def step(model: str, steps: int, goal: float, groups: tuple[str, ...], batches: tuple[int, int] = (128, 512)) -> Case:
    """A gradient step of PGD: forward, the input's gradient, the step."""
    about = "one step of PGD on a full batch: forward, input's gradient, step"
    rivals = dict(rivals=("torch",), cuda_rivals=CUDA_MODES, against="torch", goal=goal)
    return Case(f"step-{model}", about, "step", model, groups=groups, steps=steps, batches=batches, examples=512, **rivals)


def forward(model: str, steps: int, groups: tuple[str, ...]) -> Case:
    """A draw of uniform noise and a forward pass."""
    about = "one forward pass of a full batch under uniform noise"
    rivals = dict(rivals=("torch",), cuda_rivals=CUDA_MODES, against="torch", goal=1.0)
    return Case(f"forward-{model}", about, "forward", model, groups=groups, steps=steps, examples=512, **rivals)


def pgd(name: str, model: str, about: str, epsilon: float, goal: float, groups: tuple[str, ...] = ("cpu",), examples: int = 1000) -> Case:
    """PGD-40 at one epsilon."""
    rivals = dict(rivals=LIBRARIES, cuda_rivals=(*LIBRARIES, "torch:compile+tf32"), against="torchattacks", goal=goal)
    return Case(name, about, "pgd", model, epsilons=(epsilon,), groups=groups, examples=examples, **rivals)


def sweep(name: str, model: str, goal: float) -> Case:
    """PGD-40 at twelve epsilons."""
    about = "PGD-40 at 12 epsilons from 0 to 0.4"
    rivals = dict(rivals=("foolbox",), against="foolbox", goal=goal, groups=("cpu", "gpu"))
    return Case(name, about, "pgd", model, epsilons=TWELVE, **rivals)


def autoattack(name: str, model: str, epsilon: float, goal: float) -> Case:
    """The standard ensemble."""
    about = f"AutoAttack, standard, l-infinity {epsilon}"
    return Case(name, about, "autoattack", model, ("autoattack", "torchattacks"), "autoattack", goal, epsilons=(epsilon,))


BOTH = ("cpu", "gpu")
CASES: tuple[Case, ...] = (
    step("lenet5-pgd", 41, 1.0, ("cpu",)),
    step("resnet20", 21, 1.0, ("cpu",)),
    step("resnet18", 21, 1.0, BOTH, batches=(64, 512)),
    step("wide-resnet-28-10", 6, 1.0, BOTH, batches=(32, 512)),
    forward("lenet5-pgd", 61, ("cpu",)),
    forward("resnet20", 31, ("cpu",)),
    pgd("pgd-lenet5-pgd", "lenet5-pgd", "PGD-40, l-infinity 0.3, an adversarially trained LeNet-5", 0.3, 1.0),
    pgd("pgd-resnet20", "resnet20", "PGD-40, l-infinity 2/255, ResNet-20: nearly every example breaks", 2 / 255, 3.0, BOTH, 300),
    pgd("pgd-resnet20-small", "resnet20", "PGD-40, l-infinity 0.25/255, ResNet-20: most examples stand", 0.25 / 255, 1.0, examples=300),
    pgd("pgd-small-cnn", "small-cnn", "PGD-40, l-infinity 0.1, an adversarially trained small-cnn", 0.1, 1.0),
    sweep("sweep-lenet5-pgd", "lenet5-pgd", 4.0),
    sweep("sweep-lenet5-standard", "lenet5-standard", 10.0),
    autoattack("autoattack-cnn-pgd", "cnn-pgd", 0.3, 1.0),
    autoattack("autoattack-lenet5-standard", "lenet5-standard", 0.2, 3.0),
    Case(
        name="square-cnn-pgd",
        about="Square, 1,000 queries, l-infinity 0.3",
        kind="square",
        model="cnn-pgd",
        rivals=("autoattack", "torchattacks", "art"),
        against="torchattacks",
        goal=1.0,
        steps=1000,
    ),
    Case(
        name="kernel-linf-step",
        about="the l-infinity step alone, fused, 256 x 150,528: beside PyTorch's operators, and a copy that moves as many bytes",
        kind="kernel",
        model="",
        rivals=("torch", "copy"),
        cuda_rivals=("torch", "torch:compile", "copy"),
        against="torch",
        goal=3.0,
        groups=BOTH,
        steps=11,
        batches=(256, 256),
    ),
    Case(
        name="train-small-cnn",
        about="one epoch of adversarial training, PGD-7, l-infinity 0.1, 60,000 images",
        kind="train",
        model="small-cnn",
        rivals=("torch", "art"),
        cuda_rivals=("torch", "torch:tf32"),
        against="torch",
        goal=1.0,
        groups=BOTH,
        epsilons=(0.1,),
        steps=7,
        batches=(128, 128),
    ),
)


def case(name: str) -> Case:
    """The case of that name."""
    return next(case for case in CASES if case.name == name)


def chosen(text: str) -> list[Case]:
    """The cases that names, beginnings and groups choose, in the table's order."""
    words = [word for word in text.split(",") if word]
    for word in words:
        if not any(word in case.groups or case.name.startswith(word) for case in CASES):
            raise ValueError(f"--cases {word}: there is no such case or group")
    return [case for case in CASES if any(word in case.groups or case.name.startswith(word) for word in words)]
