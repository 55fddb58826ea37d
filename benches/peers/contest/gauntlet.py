"""Gauntlet's side: a suite for every case, run by the command that users run, timed by the wall and by its own account."""

import json
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path

from .cases import Case
from .networks import SUITE
from .options import REPOSITORY, Options
from .process import Failed, spawn
from .turns import Measured

# How gauntlet takes part: its defaults; every step taken, as the libraries do; one batch as large as theirs.
DEFAULT, EVERY_STEP, ONE_BATCH = "gauntlet", "gauntlet:every-step", "gauntlet:one-batch"


def ways(case: Case) -> tuple[str, ...]:
    """The ways in which gauntlet does a case; the first is the one that ratios are about."""
    more = {"step": (ONE_BATCH,), "forward": (ONE_BATCH,), "pgd": (EVERY_STEP,)}
    return (DEFAULT, *more.get(case.kind, ()))


@cache
def unchecked(program: Path) -> list[str]:
    """The option that leaves out the checks of the evaluation, which no rival makes; builds from before it have none."""
    text = subprocess.run([program, "run", "--help"], capture_output=True, text=True, check=True).stdout
    return ["--no-checks"] if "--no-checks" in text else []


def attacks(case: Case, way: str, inner: int) -> list[dict]:
    """The suite's attacks; a slope has pairs, and one to warm up."""
    if case.kind == "step":
        pairs = [dict(kind="pgd", stop="last", steps=steps) for _ in range(inner) for steps in (1, case.steps)]
        return numbered([dict(kind="pgd", stop="last", steps=3), *pairs])
    if case.kind == "forward":
        pairs = [dict(kind="noise", draws=draws) for _ in range(inner) for draws in (1, case.steps)]
        return numbered([dict(kind="noise", draws=3), *pairs])
    if case.kind in ("pgd", "train"):
        stop = dict(stop="last") if way == EVERY_STEP or case.kind == "train" else {}
        return numbered([dict(kind="pgd", steps=40, **stop)])
    if case.kind == "square":
        return numbered([dict(kind="square", queries=case.steps)])
    return numbered([dict(kind=case.kind)])


def numbered(attacks: list[dict]) -> list[dict]:
    """Names them in their order."""
    return [dict(name=f"attack-{at}", **attack) for at, attack in enumerate(attacks)]


def suite(case: Case, way: str, options: Options, material: Path, inner: int) -> str:
    """The suite's text."""
    suffix = "-own" if case.is_slope else ""
    count = case.batch_on(options.device) if case.is_slope else case.examples
    epsilons = (1e-6,) if case.kind == "forward" else case.epsilons
    # What users get: a descending sweep; one epsilon alone has nothing to descend.
    sweep = "exhaustive" if way == EVERY_STEP else "descending"
    lines = [
        f'title = "{case.name}"',
        f'[data]\nsource = "npz"\npath = {json.dumps(str(material / f"{case.model}{suffix}.npz"))}\nexamples = {count}\nclasses = 10',
        f'[[threat]]\nnorm = "linf"\nepsilons = {list(epsilons)}\nsweep = "{sweep}"',
    ]
    if case.kind == "train":
        limit = f"\nexamples = {options.limit}" if options.limit else ""
        lines.insert(
            2, f'[data.train]\nsource = "npz"\npath = {json.dumps(str(material / f"{case.model}-train.npz"))}\nclasses = 10{limit}'
        )
        training = dict(method="pgd", epsilon=case.epsilons[0], steps=case.steps, epochs=1, batch=case.batch_on(options.device))
        fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in training.items())
        lines.append(f'[[defence]]\nname = "model"\nmodel = {{ {SUITE[case.model]} }}\ntrain = {{ {fields} }}')
    else:
        weights = json.dumps(str(material / f"{case.model}.safetensors"))
        lines.append(f'[[defence]]\nname = "model"\nmodel = {{ weights = {weights}, {SUITE[case.model]} }}')
    for attack in attacks(case, way, inner):
        lines.append("[[attack]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in attack.items()))
    return "\n".join(lines) + "\n"


def measure(case: Case, way: str, options: Options, material: Path, seed: int, inner: int) -> Measured:
    """Runs it; attacks once for every measurement, slopes all in one run."""
    if case.kind == "kernel":
        return kernel(options, inner)
    runs = [run(case, way, options, material, seed + at, inner) for at in range(1 if case.is_slope else inner)]
    return Measured(
        seconds=[seconds for one in runs for seconds in one.seconds],
        commands=[seconds for one in runs for seconds in one.commands],
        robust=[robust for one in runs for robust in one.robust],
        clean=runs[0].clean,
        peak_mib=max(one.peak_mib for one in runs),
        cuda_peak_mib=None,
        about=runs[0].about,
    )


def run(case: Case, way: str, options: Options, material: Path, seed: int, inner: int) -> Measured:
    """One command."""
    folder = options.work / "runs" / f"{case.name}-{way.replace(':', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    file, out = folder / "suite.toml", folder / "out"
    file.write_text(suite(case, way, options, material, inner))
    device = options.adapter if options.device == "cuda" else "cpu"
    command = [options.gauntlet, "run", file, "--out", out, "--fresh", "--device", device, "--seed", seed, "--quiet"]
    # Weights that are kept are not trained again: every run has a folder of its own for them.
    command += ["--weights", folder / f"weights-{seed}", *unchecked(options.gauntlet)]
    if way == ONE_BATCH:
        command += ["--slots", case.batch_on(options.device)]
    if options.limit and not case.is_slope:
        command += ["--limit", options.limit]
    for stale in (folder / f"weights-{seed}").glob("*"):
        stale.unlink()
    ended = spawn([str(part) for part in command], options.threads, folder / "log", codes=(0, 1))
    try:
        results = json.loads((out / "results.json").read_text())
    except OSError as error:
        raise Failed(f"no results: {(folder / 'log').read_text().strip()}") from error
    failed = sum(cell["failed"] for cell in results["cells"])
    if failed or not results["complete"]:
        raise Failed(f"{failed} failed rows, complete: {results['complete']}")
    return Measured(
        seconds=own_seconds(case, results, out),
        commands=[] if case.is_slope else [ended.seconds],
        robust=[] if case.is_slope else [[cell["robust_accuracy"] for cell in results["cells"]]],
        clean=results["defences"][0]["clean_accuracy"],
        peak_mib=ended.peak_mib,
        cuda_peak_mib=None,
        about={"version": results["version"], "device": results["devices"], "checks": not unchecked(options.gauntlet)},
    )


def kernel(options: Options, inner: int) -> Measured:
    """The step's kernel by the criterion bench, its shader on a GPU, its twin on a CPU."""
    folder = options.work / "runs" / "kernel-linf-step-gauntlet"
    folder.mkdir(parents=True, exist_ok=True)
    on = "adapter" if options.device == "cuda" else "cpu"
    # Cargo itself adds `--bench`, which may be there only once.
    program = [str(options.kernels), "--bench"] if options.kernels else ["cargo", "bench", "--quiet", "--bench", "kernels", "--"]
    command = [*program, "--warm-up-time", "1", "--measurement-time", "3", f"^{on}/linf_step/plain 256x150528"]
    variables = {"CRITERION_HOME": str(folder / "criterion"), "GAUNTLET_BENCH_ADAPTER": str(int(on == "adapter"))}
    estimates = folder / "criterion" / f"{on}_linf_step" / "plain 256x150528" / "new" / "estimates.json"
    seconds, peak = [], 0.0
    for _ in range(inner):
        estimates.unlink(missing_ok=True)
        ended = spawn(command, options.threads, folder / "log", variables=variables, folder=REPOSITORY)
        if not estimates.is_file():
            raise Failed(f"the bench wrote no estimates; see {folder / 'log'}")
        seconds.append(json.loads(estimates.read_text())["median"]["point_estimate"] / 1e9)
        peak = max(peak, ended.peak_mib)
    return Measured(seconds, [], [], None, peak, None, {})


def own_seconds(case: Case, results: dict, out: Path) -> list[float]:
    """What the run says of itself: seconds of the attack, of the training, or of a step."""
    if case.kind == "train":
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        at = {line["message"]: datetime.fromisoformat(line["timestamp"]) for line in lines}
        return [(at["trained an epoch"] - at["device opened"]).total_seconds()]
    spent: dict[str, float] = {}
    for cell in results["timing"]["cells"]:
        spent[cell["attack"]] = spent.get(cell["attack"], 0.0) + cell["seconds"]
    if not case.is_slope:
        return [spent["attack-0"]]
    pairs = range(1, len(spent), 2)
    return [(spent[f"attack-{at + 1}"] - spent[f"attack-{at}"]) / (case.steps - 1) for at in pairs]
