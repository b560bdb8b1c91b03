"""`python -m depth_anything`: every command of the project."""

from depth_anything.cli import main

if __name__ == "__main__":
    main("python -m depth_anything")
