import base64
import os
import stat

import pytest

from vpn.domain.errors import Unavailable
from vpn.store.facts import FactStore
from vpn.store.secrets import SecretBox, open_box, read_key, write_key, write_private


def code_of(action, *arguments):
    with pytest.raises(Unavailable) as caught:
        action(*arguments)
    return caught.value.code


def test_a_key_file_is_private_and_is_read_again(tmp_path):
    write_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert len(read_key(tmp_path / "key")) == 32
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 40, b"vpn-manager-key-1 !!! x\n", b"vpn-manager-key-1"])
def test_a_damaged_key_file(tmp_path, damage):
    write_private(tmp_path / "key", "")
    (tmp_path / "key").write_bytes(damage)
    assert code_of(read_key, tmp_path / "key") == "key_damaged"


def test_one_wrong_bit_is_found(tmp_path):
    write_key(tmp_path / "key")
    mark, key, check = (tmp_path / "key").read_text().split()
    raw = bytearray(base64.b64decode(key))
    raw[5] ^= 1
    (tmp_path / "key").write_text(f"{mark} {base64.b64encode(raw).decode()} {check}\n")
    assert code_of(read_key, tmp_path / "key") == "key_damaged"


def test_a_missing_key_file_and_one_that_others_can_read(tmp_path):
    assert code_of(read_key, tmp_path / "key") == "key_unreadable"
    write_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    assert code_of(read_key, tmp_path / "key") == "key_exposed"


def test_a_file_that_cannot_be_written_leaves_no_draft(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_what_was_sealed_is_opened_for_the_same_purpose_with_the_same_key():
    box = SecretBox(b"k" * 32)
    sealed = box.seal(b"secret", "users/1")
    assert b"secret" not in sealed
    assert box.open(sealed, "users/1") == b"secret"
    assert box.seal(b"secret", "users/1") != sealed
    assert code_of(box.open, sealed, "users/2") == "secret_unreadable"
    assert code_of(SecretBox(b"x" * 32).open, sealed, "users/1") == "secret_unreadable"
    assert code_of(box.open, sealed[:5], "users/1") == "secret_unreadable"


@pytest.mark.anyio
async def test_a_database_knows_its_key(database, tmp_path):
    path = tmp_path / "key"
    await open_box(path, FactStore(database))
    await open_box(path, FactStore(database))
    path.unlink()
    with pytest.raises(Unavailable) as caught:
        await open_box(path, FactStore(database))
    assert caught.value.code == "key_unreadable"
    assert not path.exists()
    write_key(path)
    with pytest.raises(Unavailable) as caught:
        await open_box(path, FactStore(database))
    assert caught.value.code == "key_mismatch"


def test_a_digest_tells_nothing_without_the_key():
    box = SecretBox(bytes(32))
    assert box.digest(b"password") == box.digest(b"password") != box.digest(b"passwore")
    assert SecretBox(b"\1" * 32).digest(b"password") != box.digest(b"password")
    assert len(box.digest(b"")) == 64
