"""`python -m serve`."""

from serve.start import main

if __name__ == "__main__":
    main()
