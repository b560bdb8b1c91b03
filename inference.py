"""Every image in a folder becomes a depth map in another: `python inference.py --help`."""

from depth_anything.inference import main

if __name__ == "__main__":
    main()
