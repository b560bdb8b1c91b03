"""The program that `freeze.sh` makes: the commands of `python -m serve`."""

from multiprocessing import freeze_support

from serve.cli import main

if __name__ == "__main__":
    freeze_support()
    main()
