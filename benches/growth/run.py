#!/usr/bin/env python3
"""Measures how gauntlet's time and memory grow, fits the model that predicts them, and writes both as a table and a plot.

`python3 benches/growth/run.py --help` says what there is to choose; `benches/README.md` says what is measured. The standard library is
enough.
"""

import sys
from pathlib import Path

# A process's wall time and peak memory are taken as the peers' bench takes them.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from curves.main import main  # noqa: E402
from curves.options import parse  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(parse()))
