"""`python -m compile`."""

from compile.cli import main

if __name__ == "__main__":
    main()
