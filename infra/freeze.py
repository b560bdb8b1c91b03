"""The program that `freeze.sh` makes: the commands of `python -m serve`, under its own name."""

import sys
from multiprocessing import freeze_support

from serve.__main__ import main

if __name__ == "__main__":
    freeze_support()
    if sys.argv[1:2] == ["-c"]:  # as depth/child.py starts Python, for bench's cold starts
        code, sys.argv = sys.argv[2], ["-c", *sys.argv[3:]]
        exec(code)
    else:
        main("depth-serve")
