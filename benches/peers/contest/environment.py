"""The virtual environment with the pinned libraries."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from .options import Options

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"


def interpreter(options: Options) -> str:
    """The Python that has the libraries; makes its environment where there is none, or one of other versions."""
    if options.python:
        return options.python
    folder = options.work / "venv"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    mark = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return str(python)
    print(f"making {folder} with the libraries of {REQUIREMENTS.name} (once, some minutes)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
    mark.write_text(wanted)
    return str(python)


def pins() -> dict[str, str]:
    """The versions that `requirements.txt` asks for."""
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)
