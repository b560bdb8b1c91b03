"""Aliases: of two people who move an alias at once, one gets an error; only proof is promoted."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from depth.errors import InputError, StoreError
from depth.store.aliases import Alias, read_alias
from depth.store.catalogue import Entry, find, read_entry
from depth.store.listing import listing
from depth.store.names import PROBE, alias_key, manifest_key
from depth.store.objects import ObjectStore
from depth.store.promote import promote, require_conditional_writes
from depth.store.push import push
from depth.store.s3 import S3Store
from tests.support.stored_artifacts import in_a_folder, make, verify

PRODUCTION = "vits/inf1/production"
RACERS = 8
WAIT_S = 60.0


def stored(store: ObjectStore, out: Path, number: int = 0, passed: Optional[bool] = True) -> Entry:
    """One of several artifacts in the store: its manifest alone, which is all that counts here."""
    artifact = make(out, {"programs/a": b"%d" % number}, passed)
    data = (artifact.folder / "manifest.json").read_bytes()
    store.write(manifest_key(artifact.identity), data)
    return read_entry(store, artifact.identity)


def now(store: ObjectStore, name: str = PRODUCTION) -> Alias:
    found = read_alias(store, name)
    assert found is not None
    return found.alias


def test_promote_moves_an_alias_and_records_the_previous_identity(
    store: ObjectStore, tmp_path: Path
) -> None:
    first, second = (stored(store, tmp_path, number) for number in (1, 2))
    assert promote(store, first, PRODUCTION).previous is None
    assert find(store, PRODUCTION).identity == first.identity
    promote(store, second, PRODUCTION, expect=first.identity[:6])
    assert find(store, PRODUCTION).identity == second.identity
    alias = now(store)
    assert alias == Alias(second.identity, second.manifest_sha256, first.identity, alias.moved_at)
    age = datetime.now(timezone.utc) - datetime.fromisoformat(alias.moved_at)
    assert timedelta(0) <= age < timedelta(minutes=5)
    promote(store, first, "vits/inf1/staging")
    assert {row.entry.identity: row.aliases for row in listing(store).rows} == {
        first.identity: ("vits/inf1/staging",),
        second.identity: (PRODUCTION,),
    }


@in_a_folder
def test_other_measured_figures_than_were_promoted_are_refused(
    store: ObjectStore, tmp_path: Path
) -> None:
    entry = stored(store, tmp_path)
    promote(store, entry, PRODUCTION)
    altered = entry.data.replace(b'"max_rel": 1e-05', b'"max_rel": 9e-09')
    assert altered != entry.data
    store.write(manifest_key(entry.identity), altered)
    assert find(store, entry.identity).identity == entry.identity
    with pytest.raises(StoreError, match="measured figures were altered"):
        find(store, PRODUCTION)
    promote(store, find(store, entry.identity), PRODUCTION)  # somebody has looked at it
    assert find(store, PRODUCTION).data == altered


@in_a_folder
def test_promoting_the_same_artifact_again_changes_nothing(
    store: ObjectStore, tmp_path: Path
) -> None:
    first, second = (stored(store, tmp_path, number) for number in (1, 2))
    promote(store, first, PRODUCTION)
    before = promote(store, second, PRODUCTION)
    assert promote(store, second, PRODUCTION) == before
    assert before.previous == first.identity


@in_a_folder
def test_an_alias_that_is_not_as_expected_is_left(store: ObjectStore, tmp_path: Path) -> None:
    first, second = (stored(store, tmp_path, number) for number in (1, 2))
    with pytest.raises(StoreError, match=f"{PRODUCTION}: no such alias; nothing was"):
        promote(store, first, PRODUCTION, expect=first.identity)
    assert read_alias(store, PRODUCTION) is None
    promote(store, first, PRODUCTION)
    with pytest.raises(StoreError, match=f"moved the alias to {first.identity[:12]} .at 20"):
        promote(store, second, PRODUCTION, expect=second.identity[:8])
    assert now(store).identity == first.identity


def race(store: ObjectStore, entries: list[Entry], expect: Optional[str]) -> list[str]:
    """All promote at once; returns the errors of those that lost."""
    barrier = threading.Barrier(len(entries), timeout=WAIT_S)

    def run(entry: Entry) -> str:
        barrier.wait()
        try:
            promote(store, entry, PRODUCTION, expect)
        except StoreError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(entries)) as pool:
        return [text for text in pool.map(run, entries) if text]


def test_of_eight_concurrent_replacements_seven_fail(store: ObjectStore, tmp_path: Path) -> None:
    first, *others = (stored(store, tmp_path, number) for number in range(1 + RACERS))
    promote(store, first, PRODUCTION)
    errors = race(store, others, expect=first.identity)
    winner = now(store)
    assert winner.identity in {entry.identity for entry in others}
    assert winner.previous == first.identity
    assert len(errors) == RACERS - 1
    for text in errors:
        assert f"to {winner.identity[:12]} (at {winner.moved_at})" in text
        assert f"promote again with --expect {winner.identity[:12]}" in text


def test_of_eight_concurrent_creations_seven_fail(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [stored(store, tmp_path, number) for number in range(RACERS)]
    barrier = threading.Barrier(RACERS, timeout=WAIT_S)  # broken if a promotion ends before

    def seen_by_all(store: ObjectStore, name: str) -> Any:
        found = read_alias(store, name)
        if found is None:
            barrier.wait()  # nobody writes until all have seen that there is none
        return found

    monkeypatch.setattr("depth.store.promote.read_alias", seen_by_all)
    errors = race(store, entries, expect=None)
    assert len(errors) == RACERS - 1
    assert now(store).previous is None


def test_a_write_whose_answer_was_lost_is_no_conflict(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = stored(store, tmp_path)
    kept = type(store).write_if

    def sent_twice(self: ObjectStore, key: str, data: bytes, tag: Optional[str]) -> bool:
        if key == alias_key(PRODUCTION):
            assert kept(self, key, data, tag)
        return kept(self, key, data, tag)

    monkeypatch.setattr(type(store), "write_if", sent_twice)
    assert promote(store, entry, PRODUCTION) == now(store)


@pytest.mark.parametrize("ignored", ["If-Match", "If-None-Match"])
def test_a_store_that_ignores_conditions_is_refused(
    s3: S3Store, tmp_path: Path, ignored: str
) -> None:
    entry = stored(s3, tmp_path)

    def strip(params: Any, **_: Any) -> None:
        params["headers"].pop(ignored, None)

    s3.client.meta.events.register("before-call.s3.PutObject", strip)
    with pytest.raises(StoreError, match="ignores the conditions .* keep aliases in a store that"):
        promote(s3, entry, PRODUCTION)
    assert read_alias(s3, PRODUCTION) is None


def test_a_store_that_never_lets_a_condition_hold_is_refused(s3: S3Store) -> None:
    def spoil(params: Any, **_: Any) -> None:
        if "If-Match" in params["headers"]:
            params["headers"]["If-Match"] = '"another"'

    s3.client.meta.events.register("before-call.s3.PutObject", spoil)
    with pytest.raises(StoreError, match="refuses conditional writes whose condition holds"):
        require_conditional_writes(s3)


def test_conditional_write_probe_leaves_a_small_object(store: ObjectStore) -> None:
    for _ in range(2):
        require_conditional_writes(store)
    assert [listed.key for listed in store.listed("")] == [PROBE]


def busy(s3: S3Store, monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    """S3's answer to a conditional write while another one is under way."""
    kept: Callable[..., Any] = s3.client.put_object
    response = {"Error": {"Code": "ConditionalRequestConflict"}}
    left = answers

    def put_object(**arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise s3.client.exceptions.ClientError(response, "PutObject")
        return kept(**arguments)

    monkeypatch.setattr(s3.client, "put_object", put_object)
    monkeypatch.setattr("depth.store.s3.time.sleep", lambda _: None)


def test_a_write_that_meets_another_is_sent_again(
    s3: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(s3, monkeypatch, answers=4)
    assert s3.write_if("key", b"data", None)
    busy(s3, monkeypatch, answers=5)
    with pytest.raises(StoreError, match="key: others keep writing it; try again later"):
        s3.write_if("key", b"data", None)


@in_a_folder
def test_failed_artifacts_are_refused_and_unverified_ones_need_the_option(
    store: ObjectStore, tmp_path: Path
) -> None:
    failed = stored(store, tmp_path, passed=False)
    with pytest.raises(StoreError, match="failed its parity gate, its numbers are wrong; build"):
        promote(store, failed, PRODUCTION, allow_unverified=True)
    artifact = make(tmp_path, passed=None)
    push(store, artifact)
    built = find(store, artifact.identity)
    with pytest.raises(StoreError, match="were never measured on the device; .* --allow-unverifi"):
        promote(store, built, PRODUCTION)
    assert read_alias(store, PRODUCTION) is None
    promote(store, built, "vits/inf1/trial", allow_unverified=True)
    verify(artifact)
    push(store, artifact)
    promote(store, find(store, artifact.identity), PRODUCTION)
    assert now(store).identity == artifact.identity


@in_a_folder
def test_a_wrong_alias_or_identity_is_a_usage_error(store: ObjectStore, tmp_path: Path) -> None:
    entry = stored(store, tmp_path)
    with pytest.raises(InputError, match="alias 'production': expected names joined by /"):
        promote(store, entry, "production")
    with pytest.raises(InputError, match="--expect 'x': expected at least 6 digits"):
        promote(store, entry, PRODUCTION, expect="x")


def put_alias(store: ObjectStore, **changes: Any) -> None:
    """An alias of no artifact in the store, with these fields."""
    alias = Alias("f" * 64, "e" * 64, None, "2026-01-01T00:00:00+00:00")
    store.write(alias_key(PRODUCTION), json.dumps({**asdict(alias), **changes}).encode())


@in_a_folder
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"identity": "../../secret"}, "is not a sha256"),
        ({"manifest_sha256": "E" * 64}, "is not a sha256"),
        ({"previous": 7}, "field previous is 7"),
        ({"extra": 1}, "unknown field extra"),
    ],
)
def test_a_damaged_alias_is_refused(
    store: ObjectStore,
    tmp_path: Path,
    changes: dict[str, Any],
    text: str,
) -> None:
    stored(store, tmp_path)
    put_alias(store, **changes)
    with pytest.raises(StoreError, match=f"production.json: .*{text}.*; delete it, then promote"):
        find(store, PRODUCTION)
    assert [row.aliases for row in listing(store).rows] == [()]
    (damaged,) = listing(store).damaged
    assert text in damaged.reason


@in_a_folder
def test_an_alias_without_artifact_is_refused(store: ObjectStore) -> None:
    put_alias(store)
    with pytest.raises(StoreError, match="ffff/manifest.json: no such artifact; `python -m compil"):
        find(store, PRODUCTION)
