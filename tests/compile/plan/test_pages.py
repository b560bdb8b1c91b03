"""What the README and docs/plan.md say about Inf1: as the plan of today has it."""

from __future__ import annotations

from compile.plan.estimate import Layout, two_digits
from compile.plan.plan import plan_for
from compile.plan.work import work_of
from compile.products import CONV, RESIZE
from depth.family import model_named
from tests.support.places import ROOT

VITS = model_named("vits")
SIZE = (518, 518)


def test_the_page_counts_the_convolutions_that_the_public_port_left_on_the_host() -> None:
    """Those behind the first resize: they wait for the partition that is not compiled."""
    maps = [37, 74, 148, 296, 518]  # sides, px, after each of the five resizes
    after_resizes = [64 * 64 * side**2 for side in maps[:4]]
    of_fusions = [9 * 64 * 64 * side**2 for side in maps[:3] for _ in range(2)]
    of_head = [9 * 64 * 32 * 296**2, 9 * 32 * 32 * 518**2, 32 * 518**2]
    behind = [*after_resizes, *of_fusions, *of_head]

    _, decoder = work_of(VITS, SIZE)
    kinds = [product.kind for product in decoder.products]
    later = [p.macs for p in decoder.products[kinds.index(RESIZE) :] if p.kind == CONV]
    # Three fusions also convolve what comes from the encoder, which waits for no resize.
    assert sorted(later) == sorted([*behind, *of_fusions])

    page = " ".join((ROOT / "docs/plan.md").read_text(encoding="utf-8").split())
    section = page.partition("## Beside the one public port")[2].partition("## ")[0]
    assert f"{len(behind)} convolutions" in section
    assert f"about {sum(behind) / 1e9:.1f} GMAC of convolutions" in section
    assert section.count(" ms ") == 2  # the port's own figure: the plan has none for it


def test_the_readme_has_the_latencies_of_today() -> None:
    whole, sliced = (
        plan_for(VITS, SIZE, "inf1.xlarge", Layout(attention_blocks=blocks)).chosen.latency_ms.map(
            two_digits
        )
        for blocks in (1, 8)
    )
    assert (
        f"| {whole.low:g} to {whole.high:g} ms per image and core; with attention in slices "
        f"{sliced.low:g} to {sliced.high:g} ms |"
    ) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_says_what_others_have_compiled_for_inf1() -> None:
    """Only the encoder of one network; a new row here needs public evidence."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| part | compiled for Inf1 by others |\n|---|---|\n")[2]
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    assert [part for part, answer in rows if answer.startswith("yes")] == [
        "encoder of `vits`, 518×518, batch 1"
    ]
    assert [part for part, answer in rows if answer == "no"] == [
        "decoder, all of it on the chip",
        "`vitb`, `vitl`",
        "sizes above 518×518",
        "batches above 1",
    ]
