import os
import pwd
import stat

import pytest

from tests.support.unprivileged import ACCOUNT, needs_root
from vpn.domain.errors import Unavailable
from vpn.ownership import hand_over


@pytest.fixture(autouse=True)
def _root():
    needs_root()


@pytest.fixture
def data(tmp_path):
    """A data directory that root has used."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    for name in ("lock", "key", "vpn.db", "vpn.db-wal", "other"):
        (path / name).touch(mode=0o600)
    return path


def give(path):
    account = pwd.getpwnam(ACCOUNT)
    hand_over(path, ACCOUNT, account.pw_uid, account.pw_gid)


def test_a_new_one_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "data"
    before = os.umask(0o077)
    try:
        give(path)
    finally:
        os.umask(before)
    assert path.owner() == ACCOUNT
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for above in (path.parent, path.parent.parent):
        assert (above.owner(), stat.S_IMODE(above.stat().st_mode)) == ("root", 0o755)


def test_what_is_known_is_handed_over_and_again(data):
    for _ in range(2):
        give(data)
        owners = {path.name: path.owner() for path in data.iterdir()}
        assert owners.pop("other") == "root"
        assert set(owners.values()) == {ACCOUNT}
        assert data.owner() == ACCOUNT


def test_the_journals_of_sessions_go_with_it(data):
    journals = data / "sessions"
    journals.mkdir(mode=0o700)
    (journals / "0000000000000007.journal").touch(mode=0o600)
    (journals / "00000001.spill").touch(mode=0o600)
    give(data)
    assert {path.owner() for path in (journals, *journals.iterdir())} == {ACCOUNT}


def test_a_link_in_the_place_of_the_journals_is_not_followed(data, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (data / "sessions").symlink_to(precious)
    give(data)
    assert {path.owner() for path in (precious, precious / "file")} == {"root"}


def test_what_root_left_in_the_accounts_directory(data):
    give(data)
    (data / "api-token").touch()
    give(data)
    assert (data / "api-token").owner() == ACCOUNT


def test_links_are_not_followed(data, tmp_path):
    precious = tmp_path / "shadow"
    precious.touch()
    (data / "key").unlink()
    (data / "key").symlink_to(precious)
    (data / "vpn.db").unlink()
    (data / "vpn.db").hardlink_to(precious)
    os.mkfifo(data / "vpn.db-shm")
    give(data)
    assert precious.owner() == "root"


def test_a_directory_behind_a_link(data, tmp_path):
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(Unavailable, match="cannot be handed over"):
        give(tmp_path / "link")
    assert data.owner() == "root"


def test_somebody_elses(data):
    os.chown(data, pwd.getpwnam("daemon").pw_uid, -1)
    with pytest.raises(Unavailable) as caught:
        give(data)
    assert caught.value.code == "data_dir_foreign"


def test_no_data_directory_at_all(tmp_path):
    (tmp_path / "key").touch()
    with pytest.raises(Unavailable) as caught:
        give(tmp_path)
    assert caught.value.code == "data_dir_exposed"
    assert tmp_path.owner() == "root"


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(Unavailable, match="cannot be handed over"):
            give(path)
