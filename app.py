"""A web page that shows the depth of an image: `python app.py --help`."""

from depth_anything.app import main

if __name__ == "__main__":
    main()
