"""`python main.py evaluate`: predicted depth against measured depth."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from depth.command import choice_option, path_option

_PARTLY, _FAILED = 3, 1
_SHOWN = 10
_ALIGNMENTS = ("none", "median", "scale", "scale-shift", "inverse-scale-shift")
_CROPS = ("none", "eigen", "garg", "nyu")
_KINDS = ("metres", "relative_inverse", "relative_depth", "focal_normalised")

_PRED = path_option(
    ..., "Folder of predictions: results of inference.py, or NPY, PFM, PNG.", "--pred"
)
_TRUTH = path_option(..., "Folder of true depth: NPY, PFM, or 16-bit gray PNG.", "--truth")
_REPORT = path_option(None, "NAME.csv or NAME.json: the figures of every image.", "--report")


def evaluate(
    pred: Path = _PRED,
    truth: Path = _TRUTH,
    align: str = choice_option(
        "none",
        _ALIGNMENTS,
        "How a prediction is moved onto the truth first. Relative inverse depth, that of vits and "
        "the like, needs inverse-scale-shift.",
    ),
    min_depth: float = typer.Option(0.001, help="Metres. True depth below is left out."),
    max_depth: Optional[float] = typer.Option(
        None, help="Metres, 10 for NYU and 80 for KITTI. True depth beyond is left out."
    ),
    crop: str = choice_option("none", _CROPS, "The part of the image that counts."),
    truth_scale: Optional[float] = typer.Option(
        None, help="Stored numbers for 1 m: 256 for KITTI, 1000 for millimetres, 1 for metres."
    ),
    pred_kind: Optional[str] = choice_option(
        None, _KINDS, "What predictions hold that do not say it themselves."
    ),
    pred_scale: Optional[float] = typer.Option(None, help="As --truth-scale, of such predictions."),
    report: Optional[Path] = _REPORT,
) -> None:
    """Measure predicted depth against true depth.

    The figures are those of papers: AbsRel, RMSE, delta1 and others.

    \b
    python main.py evaluate --pred output_depth --truth nyu/depth --truth-scale 1000 \\
      --align inverse-scale-shift --max-depth 10 --crop nyu --report nyu.csv

    Files are paired by their names. Predictions of another size are resized to the truth. The exit
    code is 3 if an image has no figures, and the reasons are printed.
    """
    from depth.console import counted, one_line
    from depth.evaluation.files import Arrays
    from depth.evaluation.pairing import paired, predictions_in, truths_in
    from depth.evaluation.report import check_report, table, write_report
    from depth.evaluation.run import Protocol, reasons
    from depth.evaluation.run import evaluate as evaluated

    if report is not None:
        check_report(report)
    arrays = Arrays(pred_kind, pred_scale)
    protocol = Protocol(align, min_depth, max_depth, crop, truth_scale, arrays)
    pairs = paired(predictions_in(pred), truths_in(truth))
    with counted("images to measure", len(pairs.pairs)) as progress:
        found = evaluated(pairs, protocol, progress)
    for line in table(found):
        typer.echo(one_line(line))
    for line in reasons(found, _SHOWN):
        typer.echo(f"no figures: {one_line(line)}", err=True)
    if report is not None:
        write_report(report, found)
    if found.left_out:
        raise typer.Exit(_PARTLY if found.rows else _FAILED)
