"""All commands of the project: `python main.py --help`."""

from depth_anything.cli import main

if __name__ == "__main__":
    main("main.py")
