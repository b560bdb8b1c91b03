"""index.html of an output folder: what it shows, that it is safe, and what it never replaces."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from depth.family import METRES
from depth.maps.files import write_result
from serve.errors import NoImagesError
from serve.folder import index
from serve.folder.cli import run
from serve.folder.index import is_page, write_index
from serve.folder.manifest import MANIFEST, manifest_in
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry
from serve.jobs.stop import Stop
from tests.support.depth_samples import ramp, result
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture

SCRIPT = "<script>alert(1)<"
ODD = ["a \"q\" 's'", SCRIPT, "100% #1?x=1&y", "😀 名前", "a:b", "-x", "a\n\u202eb"]


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.source = path.read_bytes().decode("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data

    def files(self, folder: Path) -> list[Path]:
        """What the links lead to from a page in this folder, on the disk."""
        for link in self.links:
            parts = urlsplit(link)
            assert parts == ("", "", link, "", ""), link
        return [folder / os.fsdecode(unquote_to_bytes(link)) for link in self.links]


@pytest.fixture
def job(tmp_path: Path) -> FolderJob:
    return FolderJob(tmp_path / "images", tmp_path / "out", preview=True)


def images(job: FolderJob, names: list[bytes]) -> None:
    job.input.mkdir()
    for seed, name in enumerate(names):
        data = encoded(picture(20, 30, seed=seed), "PNG", compress_level=1)
        Path(os.fsdecode(os.fsencode(job.input) + b"/" + name)).write_bytes(data)


def test_odd_names_are_shown_and_lead_to_their_files(
    job: FolderJob, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name.encode() + b".png" for name in ODD]
    images(job, names)
    assert run(make_engine(), job, Stop()) == 0
    assert capsys.readouterr().err.endswith(f"to look: {job.output / 'index.html'}\n")
    page = Page(job.output / "index.html")
    files = page.files(job.output)
    assert all(path.is_file() for path in files)
    assert {path for path in job.output.iterdir() if path.suffix != ".html"} == {
        *files, job.output / MANIFEST,
    }  # fmt: skip
    assert "script" not in page.tags
    assert page.tags.count("img") == page.source.count('loading="lazy"') == len(names)
    assert f"{SCRIPT}.png" in page.text
    assert "a\\n\\u202eb.png" in page.text
    assert str(job.output.parent) not in page.source, "nothing of the machine"
    assert "http" not in page.source


def test_a_name_that_is_not_utf8_leads_to_its_file(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    lay(tmp_path, {f"{odd}.jpg": write_result(result(ramp()), tmp_path / odd, ["png"], {}, True)})
    page = Page(tmp_path / "index.html")
    assert "caf\\udce9.jpg" in page.text
    assert len(page.links) == 4
    assert all(path.is_file() for path in page.files(tmp_path))
    assert is_page(tmp_path / "index.html")


def test_a_page_says_range_unit_model_and_remark(tmp_path: Path) -> None:
    facts = {"notes": ["a <remark>"]}
    found = result(ramp(), METRES)
    written = write_result(found, tmp_path / "x", ["png", "npy"], facts, preview=True)
    lay(tmp_path, {"x.jpg": written})
    page = Page(tmp_path / "index.html")
    assert "0.25 to 9.5 m: distance along the optical axis in metres" in page.text
    assert "model vits" in page.text
    assert "a <remark>" in page.text
    assert page.links == ["x.preview.jpg", "x.preview.jpg", "x.png", "x.npy", "x.json"]


def lay(folder: Path, results: dict[str, list[Path]]) -> None:
    """A report of these files, and its pages."""
    with manifest_in(folder, writable=True) as report:
        for image, files in results.items():
            sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
            report.append(Entry(image, DONE, outputs=sizes))
    write_index(folder)


def test_what_is_missing_is_not_shown(tmp_path: Path) -> None:
    results = {
        name: write_result(result(ramp()), tmp_path / name, ["png"], {}, preview=True)
        for name in ("gone", "garbled", "plain", "whole")
    }
    lay(tmp_path, results)
    (tmp_path / "gone.json").unlink()
    (tmp_path / "garbled.json").write_text('{"maps": {"depth": []}}')
    (tmp_path / "plain.preview.jpg").unlink()
    write_index(tmp_path)
    page = Page(tmp_path / "index.html")
    assert page.links == ["plain.png", "plain.json", "whole.preview.jpg", *page.links[3:]]
    assert "no preview" in page.text
    assert all(path.exists() for path in page.files(tmp_path))


def test_a_report_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    away = write_result(result(ramp()), tmp_path / "away", ["png"], {}, preview=True)
    with manifest_in(out, writable=True) as report:
        outside = {f"../{path.name}": 1 for path in away}
        absolute = {str(path): 1 for path in away}
        for number, outputs in enumerate((outside, absolute, {"a\0.json": 1})):
            report.append(Entry(f"{number}.jpg", DONE, outputs=outputs))
    write_index(out)
    assert Page(out / "index.html").links == []


def test_many_images_are_several_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "PAGE_IMAGES", 2)
    results = {
        name: write_result(result(ramp()), tmp_path / name, ["png"], {}, preview=True)
        for name in "abcde"
    }
    lay(tmp_path, results)
    names = ["index.html", "index-2.html", "index-3.html"]
    pages = [Page(tmp_path / name) for name in names]
    assert [page.tags.count("img") for page in pages] == [2, 2, 1]
    for number, page in enumerate(pages):
        others = [name for name in names if name != names[number]]
        assert [link for link in page.links if link.endswith(".html")] == others * 2
        assert all(path.is_file() for path in page.files(tmp_path))
    monkeypatch.setattr(index, "PAGE_IMAGES", 3)
    write_index(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.html")) == sorted(names[:2])


@pytest.mark.parametrize("altered", ["<p>my own page</p>", "changed", "link"])
def test_a_page_of_others_stays_and_the_job_does_not_fail(
    job: FolderJob, caplog: pytest.LogCaptureFixture, altered: str
) -> None:
    images(job, [b"a.png"])
    assert run(make_engine(), job, Stop()) == 0
    path = job.output / "index.html"
    if altered == "link":
        path.rename(job.output.parent / "page")
        path.symlink_to(job.output.parent / "page")
    else:
        path.write_text(altered if altered.startswith("<") else path.read_text() + altered)
    before = path.read_bytes()
    assert not is_page(path)
    assert run(make_engine(), job, Stop()) == 0
    assert path.read_bytes() == before
    assert "index.html is not written" in caplog.text
    assert "move it away" in caplog.text


def test_a_disk_that_refuses_the_page_fails_no_job(
    job: FolderJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    images(job, [b"a.png"])
    monkeypatch.setattr(index, "write_whole", full)
    assert run(make_engine(), job, Stop()) == 0
    assert "index.html is not written" in caplog.text
    assert not list(job.output.glob("*.html"))


def test_a_job_that_was_stopped_or_failed_leaves_a_page(job: FolderJob) -> None:
    write_images(job.input, 30)
    stop = Stop()
    engine = make_engine(fails_from=5)
    stopping = FolderJob(job.input, job.output, preview=True, fail_fast=True)
    assert run(engine, stopping, stop) == 3
    page = Page(job.output / "index.html")
    assert 1 <= page.tags.count("img") <= 4
    assert "images of this page failed: the reasons are in" in page.text
    (job.output / "index.html").unlink()
    nothing = FolderJob(job.output.parent / "empty", job.output, preview=True)
    nothing.input.mkdir()
    with pytest.raises(NoImagesError):
        run(make_engine(), nothing, Stop())
    assert Page(job.output / "index.html").tags.count("img") == page.tags.count("img")


@pytest.mark.parametrize("changes", [{"preview": False}, {"dry_run": True}])
def test_no_page_without_previews_or_in_a_dry_run(
    job: FolderJob, changes: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    images(job, [b"a.png"])
    options = {"preview": True, **changes}
    assert run(make_engine(), FolderJob(job.input, job.output, **options), Stop()) == 0
    assert not list(job.output.rglob("*.html")) + list(job.output.rglob("*.jpg"))
    assert "to look" not in capsys.readouterr().err


def test_a_rerun_writes_the_same_page(job: FolderJob) -> None:
    images(job, [b"a.png", b"b.png"])
    assert run(make_engine(), job, Stop()) == 0
    before = (job.output / "index.html").read_bytes()
    assert run(make_engine(), job, Stop()) == 0
    assert (job.output / "index.html").read_bytes() == before
    assert json.loads((job.output / MANIFEST).read_text().splitlines()[0])["status"] == "done"
