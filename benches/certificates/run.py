#!/usr/bin/env python3
"""Certificates against attacks: does anything break an example within the radius that is certified for it?

Writes a suite a model, runs it with `gauntlet run`, and prints a line a model as Markdown. A run that was stopped goes on where it was.
Every model is bounded by `interval` and `linear`, and attacked with PGD-40 and, where anything is certified, with AutoAttack; the check
`certificate-violated` compares them example by example.

    python3 benches/certificates/run.py --reference DIR [--models a,b] [--examples 1000] [--gauntlet PATH] [--out DIR] [--device cpu]

DIR holds `models/<name>.onnx` and `data/<set>.npz`, as GAUNTLET_REFERENCE does for the tests. Without --reference only the networks that
the bench trains itself on the embedded digits are run.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

# Name, data set, radii, linear's inner layers, and whether AutoAttack is asked: not where PGD has nothing certified to break.
REFERENCE = [
    ("mnist-cnn-pgd", "mnist-1000", [0.002, 0.005, 0.01, 0.02, 0.05, 0.1], "linear", True),
    ("fashion-cnn-certified", "fashion-1000", [0.002, 0.01, 0.02, 0.05, 0.1, 0.15], "linear", True),
    ("mnist-lenet5-standard", "mnist-1000", [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01], "interval", True),
    ("mnist-lenet5-pgd", "mnist-1000", [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01], "interval", True),
    ("cifar10-cnn-pgd", "cifar10-jpeg-1000", ["0.03/255", "0.1/255", "0.3/255", "1/255"], "interval", True),
    ("cifar10-resnet2b-pgd", "cifar10-jpeg-1000", ["0.0003/255", "0.001/255", "0.003/255", "0.01/255"], "interval", True),
    ("cifar10-resnet20-standard", "cifar10-jpeg-1000", ["0.001/255", "0.01/255", "0.1/255"], "interval", False),
]

# Architectures and trainings of networks on 1,000 of the embedded digits.
TRAINED = [
    ("linear", '{ architecture = "linear", seed = 1 }', '{ method = "standard", epochs = 20 }'),
    ("mlp", '{ architecture = "mlp", seed = 1, hidden = 64 }', '{ method = "standard", epochs = 20 }'),
    ("mlp-pgd", '{ architecture = "mlp", seed = 1, hidden = 64 }', '{ method = "pgd", epsilon = 0.1, steps = 7, epochs = 20 }'),
    ("small-cnn", '{ architecture = "small-cnn", seed = 1, channels = 8, hidden = 64 }', '{ method = "standard", epochs = 20 }'),
    ("small-cnn-pgd", '{ architecture = "small-cnn", seed = 1, channels = 8, hidden = 64 }', '{ method = "pgd", epsilon = 0.1, steps = 7, epochs = 20 }'),
    ("small-cnn-trades", '{ architecture = "small-cnn", seed = 1, channels = 8, hidden = 64 }', '{ method = "trades", epsilon = 0.1, steps = 7, epochs = 20 }'),
    ("small-cnn-ibp", '{ architecture = "small-cnn", seed = 1, channels = 8, hidden = 64 }', '{ method = "ibp", epsilon = 0.1, epochs = 40 }'),
    ("resnet20", '{ architecture = "resnet20", seed = 1, width = 8 }', '{ method = "standard", epochs = 10 }'),
]
DIGITS = [0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1]


def suite(title, data, epsilons, defence, attacks, certificates):
    tables = "".join(f"\n[[attack]]\n{attack}\n" for attack in attacks)
    tables += "".join(f"\n[[certificate]]\n{certificate}\n" for certificate in certificates)
    listed = ", ".join(f'"{epsilon}"' if isinstance(epsilon, str) else str(epsilon) for epsilon in epsilons)
    return f'title = "{title}"\nseed = 0\n\n[data]\n{data}\n\n[[threat]]\nnorm = "linf"\nepsilons = [{listed}]\n\n[[defence]]\n{defence}\n{tables}'


def jobs(options):
    """Name of each run and its suite."""
    pgd, autoattack = 'kind = "pgd"\nsteps = 40', 'kind = "autoattack"'
    for name, model, train in TRAINED:
        data = f'source = "digits"\nsplit = "train"\nexamples = {options.examples}'
        deep = name == "resnet20"
        certificates = ['kind = "interval"', 'kind = "linear"' + ('\nlayers = "interval"' if deep else "")]
        yield name, suite(name, data, DIGITS, f'name = "{name}"\nmodel = {model}\ntrain = {train}', [pgd, autoattack], certificates)
    if not options.reference:
        return
    folder = pathlib.Path(options.reference).resolve()
    for name, images, epsilons, layers, strong in REFERENCE:
        defence = f'name = "{name}"\nmodel = {{ onnx = "{folder}/models/{name}.onnx" }}'
        data = f'source = "npz"\npath = "{folder}/data/{images}.npz"\nexamples = {options.examples}'
        linear = f'kind = "linear"\nlayers = "{layers}"'
        yield name, suite(name, data, epsilons, defence, [pgd, autoattack] if strong else [pgd], ['kind = "interval"', linear])


def line(name, results):
    check = next(check for check in results["checks"] if check["check"] == "certificate-violated")
    worst = {entry["epsilon"]: entry["robust_accuracy"] for entry in results["worst_case"]}
    parts = []
    for kind in dict.fromkeys(entry["certificate"] for entry in results["certified"]):
        entries = [entry for entry in results["certified"] if entry["certificate"] == kind and entry["epsilon"] > 0]
        shown = [f"{100 * entry['certified_accuracy']:.1f}" for entry in entries]
        parts.append(f"{kind} " + " ".join(shown))
    radii = " ".join(f"{entry:.3g}" for entry in sorted(epsilon for epsilon in worst if epsilon > 0))
    stands = " ".join(f"{100 * share:.1f}" for epsilon, share in sorted(worst.items()) if epsilon > 0)
    attacks = ", ".join(dict.fromkeys(cell["attack"] for cell in results["cells"]))
    return f"| {name} | {results['data']['examples']} | {radii} | {'; '.join(parts)} | {stands} ({attacks}) | {check['verdict']} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", default=os.environ.get("GAUNTLET_REFERENCE"))
    parser.add_argument("--models", default="", help="names, or beginnings of names, between commas; default: all")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--gauntlet", default="target/release/gauntlet")
    parser.add_argument("--out", default="target/certificates")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    wanted = [name for name in options.models.split(",") if name]
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    lines, broken = [], False
    for name, text in jobs(options):
        if wanted and not any(name.startswith(beginning) for beginning in wanted):
            continue
        path = out / f"{name}.toml"
        path.write_text(text)
        command = [options.gauntlet, "run", str(path), "--device", options.device, "--out", str(out / name), "--weights", str(out / "weights"), "--quiet"]
        code = subprocess.run(command).returncode
        # 1: a check says no, which is what this table is about.
        if code not in (0, 1):
            sys.exit(f"{name}: gauntlet ended with code {code}")
        lines.append(line(name, json.loads((out / name / "results.json").read_text())))
        broken |= lines[-1].endswith("| fail |")
        print(lines[-1], flush=True)
    head = "| model | examples | radii | certified, % | stands, % | verdict |\n| --- | --- | --- | --- | --- | --- |\n"
    (out / "table.md").write_text(head + "\n".join(lines) + "\n")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
