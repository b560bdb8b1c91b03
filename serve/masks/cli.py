"""`python main.py masks`: a mask for every image of a folder, for photogrammetry."""

from __future__ import annotations

import typer

from serve.masks.options import MaskOptions, takes_mask_options


@takes_mask_options
def masks(options: MaskOptions) -> None:
    """Masks for photogrammetry: which pixels of each image count.

    Joins instances of your own network, depth ranges, sky and uncertain depth. A mask has 8 bits
    and one channel, 0 to ignore and 255 to keep, and exactly the size of the image. Every image
    gets a mask, all white where nothing is found.

    \b
    python main.py masks -i photos -o masks --artifact artifacts/NAME --class person
    python main.py masks -i photos -o masks --depth output_depth --farthest 20% --dilate 1

    Run it again for the rest: masks that were made of the same bytes with the same settings stay.
    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left.
    """
    from serve.masks.running import run

    raise typer.Exit(run(options.job()))
