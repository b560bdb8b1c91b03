"""What the cache of prefixes keeps, in bytes, and what it counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serve.scenes.cache import PrefixCache, keys_of


def outputs(value: float) -> dict[str, np.ndarray]:
    """100 bytes."""
    return {"tokens": np.full((4, 5), value, np.float32), "class_tokens": np.ones(5, np.float32)}


def test_the_least_recently_used_entries_go() -> None:
    cache = PrefixCache(250)
    for number in range(2):
        cache.put(b"%d" % number, outputs(number))
    assert cache.get(b"0")["tokens"][0, 0] == 0
    cache.put(b"2", outputs(2))
    assert cache.get(b"1") is None
    assert cache.get(b"0") is not None
    cache.put(b"2", outputs(3))  # what is there stays
    assert cache.get(b"2")["tokens"][0, 0] == 2
    counts = cache.counts()
    assert (counts.hits, counts.misses, counts.entries, counts.bytes) == (3, 1, 2, 200)


def test_an_entry_is_no_part_of_a_batch_and_not_over_the_limit() -> None:
    batch = np.zeros((8, 4, 5), np.float32)
    cache = PrefixCache(90)
    cache.put(b"a", {"tokens": batch[3]})
    batch[:] = 1
    kept = cache.get(b"a")["tokens"]
    assert kept.base is None
    assert not kept.any()
    cache.put(b"b", outputs(1))  # larger than the cache
    assert cache.counts().entries == 1
    nothing = PrefixCache(0)
    nothing.put(b"a", outputs(1))
    assert nothing.get(b"a") is None


def test_keys_are_of_pixels_size_and_artifact() -> None:
    image = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    key = keys_of("one")
    assert key(image) == key(image.copy())
    others = [key(image + 1), key(image.reshape(3, 4, 2)), keys_of("two")(image)]
    assert len({key(image), *others}) == 4


def test_threads_leave_the_counts_right() -> None:
    cache = PrefixCache(1000)

    def use(number: int) -> None:
        key = b"%d" % (number % 20)
        if cache.get(key) is None:
            cache.put(key, outputs(number % 20))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(2000)))
    counts = cache.counts()
    assert counts.hits + counts.misses == 2000
    assert (counts.entries, counts.bytes) == (10, 1000)
