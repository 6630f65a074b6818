"""The key of keypoints, and what is sealed with it."""

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.errors import (
    KeypointKeyExists,
    KeypointKeyInvalid,
    KeypointKeyMissing,
    KeypointsUnavailable,
    OutputUnwritable,
)
from egide.security.sealing import KeypointKey, SealBroken, key_path, require_cryptography

KEY = KeypointKey(bytes(range(32)))
TEXT = base64.urlsafe_b64encode(bytes(range(32))).decode()

some_bytes = st.binary(max_size=300)


# --- sealing --------------------------------------------------------------------------------


@given(data=some_bytes, context=some_bytes)
def test_what_was_sealed_is_given_back(data: bytes, context: bytes) -> None:
    assert KEY.unseal(KEY.seal(data, context), context) == data


@given(data=some_bytes, where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_single_changed_bit_is_noticed(data: bytes, where: float, bit: int) -> None:
    sealed = bytearray(KEY.seal(data, b"context"))
    sealed[int(where * len(sealed))] ^= 1 << bit
    with pytest.raises(SealBroken):
        KEY.unseal(bytes(sealed), b"context")


@given(data=some_bytes, share=st.floats(0, 1, exclude_max=True), more=st.binary(min_size=1))
def test_cut_or_lengthened_it_is_noticed(data: bytes, share: float, more: bytes) -> None:
    sealed = KEY.seal(data, b"context")
    for other in (sealed[: int(share * len(sealed))], sealed + more):
        with pytest.raises(SealBroken):
            KEY.unseal(other, b"context")


@given(garbage=st.binary(max_size=100))
def test_garbage_is_noticed(garbage: bytes) -> None:
    with pytest.raises(SealBroken):
        KEY.unseal(garbage, b"context")


@given(one=some_bytes, other=some_bytes)
def test_it_opens_in_its_own_context_only(one: bytes, other: bytes) -> None:
    sealed = KEY.seal(b"data", one)
    if one == other:
        assert KEY.unseal(sealed, other) == b"data"
    else:
        with pytest.raises(SealBroken):
            KEY.unseal(sealed, other)


def test_it_opens_with_its_own_key_only() -> None:
    with pytest.raises(SealBroken):
        KeypointKey.generate().unseal(KEY.seal(b"data", b""), b"")


def test_the_same_data_is_never_sealed_alike() -> None:
    sealed = {KEY.seal(b"data", b"") for _ in range(100)}
    assert len(sealed) == 100
    assert len({one[1:13] for one in sealed}) == 100


def test_sealing_adds_29_bytes_and_hides_the_data() -> None:
    data = bytes(20_000)
    sealed = KEY.seal(data, b"")
    assert len(sealed) == len(data) + 29
    assert bytes(16) not in sealed


# --- the key --------------------------------------------------------------------------------


def test_a_key_is_never_shown() -> None:
    key = KeypointKey.generate()
    for text in (repr(key), str(key), f"{key}"):
        assert key.secret.hex() not in text
        assert repr(key.secret) not in text


def test_keys_differ_and_so_do_their_ids() -> None:
    keys = {KeypointKey.generate() for _ in range(50)}
    assert len({key.key_id for key in keys}) == 50
    assert {len(key.key_id) for key in keys} == {8}


def test_a_key_id_is_the_same_for_ever() -> None:
    # Also by: printf 'egide keypoints 1 id' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0001…1f
    assert KEY.key_id.hex() == "0c29c1b9735718ad"
    assert KEY.key_id not in KEY.secret


@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("="), f"  {TEXT}\r\n"])
def test_a_key_is_read_with_and_without_padding(text: str) -> None:
    assert KeypointKey.parse(text, name="it") == KEY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        (TEXT[:-2], "43 or 44 characters"),
        (TEXT + "A", "43 or 44 characters"),
        (TEXT.replace("A", "é", 1), "43 or 44 characters"),
        (TEXT.replace("A", "+", 1), "43 or 44 characters"),
        (bytes(32).hex(), "43 or 44 characters"),
        ("Zm9v" * 1000, "43 or 44 characters"),
    ],
)
def test_what_is_no_key_is_told_without_repeating_it(text: str, reason: str) -> None:
    with pytest.raises(KeypointKeyInvalid, match=reason) as caught:
        KeypointKey.parse(text, name="EGIDE_PATCH_KEY")
    assert "EGIDE_PATCH_KEY" in str(caught.value)
    assert text.strip()[:8] not in str(caught.value) or not text.strip()
    assert caught.value.__cause__ is None


# --- where it is kept -----------------------------------------------------------------------


def test_the_usual_place_is_the_users_configuration(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert key_path(home) == tmp_path / ".config" / "egide" / "patches.key"
    assert key_path({**home, "XDG_CONFIG_HOME": "/etc/x"}) == Path("/etc/x/egide/patches.key")
    assert key_path({**home, "XDG_CONFIG_HOME": "relative"}) == key_path(home)
    assert key_path({**home, "EGIDE_PATCH_KEY_FILE": "k"}) == Path("k")


def test_a_written_key_is_for_its_owner_only_and_is_loaded(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    with pytest.raises(KeypointKeyMissing, match="egide key patches"):
        KeypointKey.load(environment)
    path = key_path(environment)
    umask = os.umask(0)
    try:
        KEY.write(path)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KeypointKey.load(environment) == KEY


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    KEY.write(path)
    for there in (path, tmp_path):
        with pytest.raises(KeypointKeyExists, match="never replaced"):
            KeypointKey.generate().write(there)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeypointKeyExists):
        KeypointKey.generate().write(tmp_path / "link")
    assert KeypointKey.read(path) == KEY
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match="file/key"):
        KEY.write(tmp_path / "file" / "key")


def test_a_key_that_could_not_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputUnwritable, match="no space left"):
        KEY.write(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    KEY.write(path)
    path.chmod(mode)
    with pytest.raises(KeypointKeyInvalid, match=f"mode is {mode:04o}.*chmod 600"):
        KeypointKey.read(path)


def test_the_variables_come_before_the_usual_place(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    KeypointKey.generate().write(key_path(environment))
    other = KeypointKey.generate()
    other.write(tmp_path / "other")
    assert KeypointKey.load({**environment, "EGIDE_PATCH_KEY": TEXT}) == KEY
    named = {**environment, "EGIDE_PATCH_KEY_FILE": str(tmp_path / "other")}
    assert KeypointKey.load(named) == other
    with pytest.raises(KeypointKeyInvalid, match="unset one"):
        KeypointKey.load({**named, "EGIDE_PATCH_KEY": TEXT})
    empty = {**named, "EGIDE_PATCH_KEY": ""}
    assert KeypointKey.load(empty) == other


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _path: None, "no such file"),
        (lambda path: path.mkdir(mode=0o700), "no plain file"),
        (lambda path: os.mkfifo(path, 0o600), "no plain file"),
        (lambda path: path.touch(mode=0o600), "it is empty"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
)
def test_a_key_file_that_was_named_and_cannot_be_read_is_told(
    tmp_path: Path, make: object, reason: str
) -> None:
    path = tmp_path / "key"
    make(path)  # type: ignore[operator]
    with pytest.raises(KeypointKeyInvalid, match=reason):
        KeypointKey.load({"EGIDE_PATCH_KEY_FILE": str(path)})


# --- without the extra ----------------------------------------------------------------------


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for use in (
        require_cryptography,
        lambda: KEY.seal(b"", b""),
        lambda: KEY.unseal(bytes(50), b""),
    ):
        with pytest.raises(KeypointsUnavailable, match=r"egide\[patches\]"):
            use()
    assert len(KeypointKey.generate().key_id) == 8


def test_importing_sealing_does_not_need_cryptography() -> None:
    code = "import sys, egide.security.sealing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
