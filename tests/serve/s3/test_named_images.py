"""The names of images under way in an object: puts, suspects, guilty images, odd content."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Optional

import pytest

from depth.errors import StoreError
from serve.jobs.entry import DONE, FAILED, Entry
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.under_way import NAMED, NamedImages, whole_process


class _Spy:
    """A store in memory that counts puts and can refuse them."""

    name = "memory"

    def __init__(self, content: Optional[bytes] = None, refuses: bool = False) -> None:
        self.content, self.refuses = content, refuses
        self.puts = self.removals = 0
        self.seen: list[dict[str, Any]] = []

    def read(self, _key: str, _most: int) -> Any:
        if self.content is None:
            return None
        return type("Found", (), {"data": self.content})

    def write(self, _key: str, content: bytes) -> None:
        if self.refuses:
            raise StoreError("PutObject was denied")
        self.puts += 1
        self.content = content
        self.seen.append(json.loads(content))

    def remove(self, _key: str) -> None:
        self.removals += 1
        self.content = None


def names_in(store: _Spy, **options: Any) -> NamedImages:
    return NamedImages(store, "folder", "0-of-1", **options)  # type: ignore[arg-type]


def waiting(*images: str) -> list[Waiting]:
    return [Waiting(image, 9, "0" * 12) for image in images]


def done(item: Waiting) -> Entry:
    return Entry(item.image, DONE)


def refused(item: Waiting) -> Entry:
    return Entry(item.image, FAILED, reason="guilty")


def worked(
    names: NamedImages, *images: str, work: Any = done, workers: int = 2
) -> list[tuple[str, str]]:
    found = names.each(waiting(*images), work, refused, workers, lambda: False)
    return [(entry.image, entry.status) for entry in found]


@pytest.mark.parametrize("images", [0, 1, 2, NAMED, 200])
def test_a_put_names_several_images(images: int) -> None:
    store = _Spy()

    def work(item: Waiting) -> Entry:
        time.sleep(0.02)
        return done(item)

    names = list(map(str, range(images)))
    assert len(worked(names_in(store), *names, work=work, workers=12)) == images
    assert store.removals == int(images > 0)
    assert images / NAMED <= store.puts <= min(images, 16 + images / 4)
    said = set().union(*(content["under_way"] for content in store.seen))
    assert said == {*names}


def test_an_image_is_named_before_its_work_begins() -> None:
    store = _Spy()

    def work(item: Waiting) -> Entry:
        assert item.image in store.seen[-1]["under_way"]
        return done(item)

    assert len(worked(names_in(store), *"abcdef", work=work)) == 6


def test_a_store_that_takes_no_names_stops_no_image() -> None:
    assert worked(names_in(_Spy(refuses=True)), "a", "b") == [("a", DONE), ("b", DONE)]


def content(under_way: list[str], suspects: list[str]) -> bytes:
    told = {"format": 1, "under_way": under_way, "suspects": suspects}
    return json.dumps(told).encode() + b"\n"


def test_suspects_come_last_and_a_guilty_image_stays_one() -> None:
    store = _Spy(content(["b"], ["a", "b", "gone"]))
    assert worked(names_in(store), *"abc") == [("c", DONE), ("a", DONE), ("b", FAILED)]
    assert (store.seen[0]["under_way"], store.seen[0]["suspects"]) == ([], ["a", "b", "gone"])
    assert store.seen[-1] == {"format": 1, "under_way": [], "suspects": ["b"], "alone_in": {}}
    assert store.removals == 0
    assert worked(names_in(store), *"abc")[-1] == ("b", DONE), "the next run tries again"
    assert store.removals == 1


def test_an_image_with_two_lives_is_alone_in_two_kills_before_it_fails() -> None:
    """As in a cluster, where workers die for other reasons too."""

    def killed(_: Waiting) -> Entry:
        raise SystemExit

    store = _Spy(content(["b"], ["b"]))
    names = names_in(store, lives=2)
    names._finish = lambda: None  # type: ignore[method-assign]  # as after a kill
    with pytest.raises(SystemExit):
        worked(names, "b", work=killed)
    assert (store.seen[-1]["under_way"], store.seen[-1]["alone_in"]) == (["b"], {"b": 1})
    assert worked(names_in(store, lives=2), "b") == [("b", FAILED)]


def test_suspects_that_a_stop_left_stay_suspects() -> None:
    store = _Spy(content(["a"], []))
    names = names_in(store)
    assert list(names.each(waiting("a", "b"), done, refused, 2, lambda: True)) == []
    assert store.seen[-1]["suspects"] == ["a"]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]\n", b'{"format": 2, "under_way": ["a"]}\n', b"[" * 9999, b"\xff"]
    + [b'{"format": 1, "under_way": "a", "suspects": [1]}\n'],
)
def test_an_object_of_anything_else_names_nothing(text: bytes) -> None:
    store = _Spy(text)
    assert worked(names_in(store), "a") == [("a", DONE)]
    assert store.removals == 1


def test_a_suspect_is_alone_in_its_process() -> None:
    """Two batches of a process, as a worker of a cluster has them."""
    process, running, most = whole_process(), [0], {"suspect": 0, "other": 0}
    lock, begun = threading.Lock(), threading.Event()

    def work(item: Waiting) -> Entry:
        kind = item.image.rstrip("0123456789")
        with lock:
            running[0] += 1
            most[kind] = max(most[kind], running[0])
        begun.wait(0.01)
        with lock:
            most[kind] = max(most[kind], running[0])
            running[0] -= 1
        return done(item)

    images = [f"suspect{number}" for number in range(5)]
    batches = [
        (names_in(_Spy(content(images, [])), process=process), images),
        (names_in(_Spy(), process=process), [f"other{number}" for number in range(40)]),
    ]
    threads = [
        threading.Thread(target=worked, args=(names, *each), kwargs={"work": work})
        for names, each in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most["suspect"] == 1
    assert most["other"] > 1
