"""What is packed: text, and the programs without weights."""

from __future__ import annotations

import tarfile
from pathlib import Path

from depth_anything.first_run.pack import pack


def test_neither_images_nor_weights_nor_links_are_packed(tmp_path: Path) -> None:
    results = tmp_path / "first-run"
    (results / "compile/01-facts").mkdir(parents=True)
    (results / "compile/transfer-programs").mkdir()
    kept = [
        "page.md",
        "compile/01-facts/result.json",
        "compile/01-facts/command-1.err",
        "compile/transfer-programs/fp32.pt",
    ]
    others = [
        "photo.jpg",
        "compile/01-facts/fused.pt",
        "compile/01-facts/weights.safetensors",
        "compile/01-facts/graph_def.pb",
    ]
    for name in (*kept, *others):
        (results / name).write_text("x")
    (results / "compile/large.log").write_bytes(bytes(5 << 20))
    (tmp_path / "secret.json").write_text("outside")
    (results / "link.json").symlink_to(tmp_path / "secret.json")
    path = pack(results, "compile")
    assert path == tmp_path / "first-run-compile.tar.gz"
    with tarfile.open(path) as packed:
        assert sorted(packed.getnames()) == sorted(f"first-run/{name}" for name in kept)
