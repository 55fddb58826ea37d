#!/usr/bin/env python3
"""Runs gauntlet and the Python libraries on the same attacks, in turn, and compares time, robust accuracy and memory.

`python3 benches/peers/run.py --help` says what there is to choose; `benches/README.md` says what is measured.
This file makes the virtual environment, then hands over to `contest.main` inside it.
"""

import sys

from contest.environment import interpreter
from contest.main import main
from contest.options import parse

if __name__ == "__main__":
    options = parse()
    sys.exit(main(options, interpreter(options)))
