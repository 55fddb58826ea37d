"""A contestant's turn, as the process that keeps the time sees it."""

import json
from dataclasses import dataclass
from pathlib import Path

from .cases import Case
from .options import Options
from .process import Failed, spawn

PEERS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measured:
    """What a turn gave: a number a measurement."""

    # The attack's own seconds: of a step, of an attack, of an epoch.
    seconds: list[float]
    # Wall seconds of whole processes, from the command to its end, warming up left out.
    commands: list[float]
    # Robust accuracy at every epsilon, a list a measurement; of steps nothing.
    robust: list[list[float]]
    clean: float | None
    peak_mib: float
    cuda_peak_mib: float | None
    # Versions and devices.
    about: dict


def rival(case: Case, name: str, options: Options, python: str, material: Path, seed: int, inner: int) -> Measured:
    """Runs a rival in a process of its own."""
    folder = options.work / "runs" / f"{case.name}-{name.replace(':', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    turn = {
        "case": case.name,
        "rival": name,
        "device": options.device,
        "threads": options.threads,
        "seed": seed,
        "inner": inner,
        "batch": options.batch,
        "limit": options.limit,
        "material": str(material),
        "report": str(report),
    }
    ended = spawn([python, "-m", "contest.child", json.dumps(turn)], options.threads, folder / "log", variables={"PYTHONPATH": str(PEERS)})
    try:
        said = json.loads(report.read_text())
    except OSError as error:
        raise Failed(f"no report; see {folder / 'log'}") from error
    if min(said["seconds"]) <= 0:
        raise Failed("a longer run took less time than a shorter one: the machine is not quiet enough, or the case too short")
    return Measured(
        seconds=said["seconds"],
        commands=[ended.seconds - said["warm_up"]] if inner == 1 and not case.is_slope else [],
        robust=said["robust"],
        clean=said["clean"],
        peak_mib=ended.peak_mib,
        cuda_peak_mib=said["cuda_peak_mib"],
        about={"versions": said["versions"], "gpu": said["gpu"]},
    )
