"""Upstream's run.py, several times faster on a CPU: `python run.py --help`."""

from depth_anything.upstream.pictures import main

if __name__ == "__main__":
    main()
