"""What gauntlet's suites say of each network beside its weights. Apart from `models.py`, so that it needs no PyTorch."""

SUITE: dict[str, str] = {
    "lenet5-pgd": 'architecture = "lenet5"',
    "lenet5-standard": 'architecture = "lenet5"',
    "small-cnn": 'architecture = "small-cnn"',
    "cnn-pgd": """layers = [
    { kind = "conv", out = 16, kernel = 4, stride = 2, padding = 1 }, { kind = "relu" },
    { kind = "conv", out = 32, kernel = 4, stride = 2, padding = 1 }, { kind = "relu" }, { kind = "flatten" },
    { kind = "dense", out = 100 }, { kind = "relu" }, { kind = "dense", out = 10 } ]""",
    "resnet20": 'architecture = "resnet20", normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }',
    "resnet18": 'architecture = "resnet18"',
    "wide-resnet-28-10": 'architecture = "wide-resnet-28-10"',
}
