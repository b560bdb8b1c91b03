"""What may be a name in a store, and what may not come out of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from depth.errors import InputError, StoreError
from depth.store.names import (
    alias_in,
    alias_key,
    check_alias,
    check_names,
    identity_in,
    is_identity_prefix,
    manifest_key,
)
from tests.support.stored_artifacts import FILES, manifest_of

IDENTITY = "0123456789abcdef" * 4


def test_proper_names_pass() -> None:
    check_names(manifest_of(FILES), IDENTITY, "here")
    check_names(manifest_of({"a/b/c-1.D_2": b""}), IDENTITY, "here")


@pytest.mark.parametrize(
    "path",
    [
        *("../secret", "/etc/hostname", "programs/../../secret", "a\\b", "", "a//b", ".hidden"),
        *("a/./b", "manifest.json", "report.md", "verified.json", "programs/", "a\nb", "a\0b", "ä"),
    ],
)
def test_a_file_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(StoreError, match=r"^here: file path .* is not usable; refused"):
        check_names(manifest_of({path: b""}), IDENTITY, "here")


@pytest.mark.parametrize(
    "field", [{"model": "../vits"}, {"model": ".vits"}, {"target": "a/b"}, {"precision": "a\n"}]
)
def test_a_folder_name_that_leads_elsewhere_is_refused(field: dict[str, str]) -> None:
    with pytest.raises(StoreError, match=r"^here: .* is not a name for a folder; refused"):
        check_names(manifest_of(FILES, **field), IDENTITY, "here")


@pytest.mark.parametrize(
    "field", [{"sha256": "../../secret"}, {"sha256": "A" * 64}, {"size_bytes": -1}]
)
def test_a_malformed_hash_or_size_is_refused(field: dict[str, object]) -> None:
    (program,) = manifest_of(FILES).programs
    changed = replace(program, files=(replace(program.files[0], **field),))
    with pytest.raises(StoreError, match="518x518-b1.xml has no proper sha256 and size; refused"):
        check_names(manifest_of(FILES, programs=(changed,)), IDENTITY, "here")


@pytest.mark.parametrize("name", ["vits/inf1/production", "a/b", "v1.0_x/2-3"])
def test_an_alias_is_names_joined_by_slashes(name: str) -> None:
    assert check_alias(name) == name
    assert alias_in(alias_key(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *("production", "", "/", "a/", "/a", "a//b", "../b", "a/..", "a/.b", "A/b", "a b/c"),
        *("a/b\n", "a/" + "b" * 200, "a\\b"),
    ],
)
def test_another_alias_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected names joined by /, like vits/inf1/production"):
        check_alias(name)
    assert alias_in(alias_key(name)) is None


@pytest.mark.parametrize("key", ["aliases/", "aliases/.json", "aliases/a/b", "a/b.json", "probe"])
def test_a_key_of_something_else_is_no_alias(key: str) -> None:
    assert alias_in(key) is None


def test_only_a_manifest_makes_an_artifact() -> None:
    assert identity_in(manifest_key(IDENTITY)) == IDENTITY
    for key in (
        f"artifacts/{IDENTITY}/verified.json",
        f"artifacts/{IDENTITY}/manifest.json.part",
        f"artifacts/x{IDENTITY}/manifest.json",
        f"artifacts/{IDENTITY[1:]}/manifest.json",
        f"objects/{IDENTITY}",
    ):
        assert identity_in(key) is None


def test_six_digits_begin_an_identity() -> None:
    assert is_identity_prefix(IDENTITY)
    assert is_identity_prefix("012345")
    for text in ("01234", IDENTITY + "0", "0123xy", "012345\n", "ABCDEF"):
        assert not is_identity_prefix(text)
