"""Handing a data directory of root's over to the account that the daemon goes on as.

Root changes owners here in a place where somebody else may write: every step goes by a descriptor and follows
no link, and a file that has a second name elsewhere is left alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vpn.data_directory import OURS
from vpn.domain.errors import Unavailable
from vpn.settings import paths


def hand_over(path: Path, name: str, uid: int, gid: int) -> None:
    """Make sure that a data directory, and what is known in it, belong to an account.

    It is created (0700) where it does not exist.

    Args:
        path: where it lies.
        name: the account's name, for messages.
        uid: its user.
        gid: its group.

    Raises:
        Unavailable: it belongs to a third account, is not evidently a data directory, or cannot be changed.
    """
    try:
        _make(path)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _hand_over(path, directory, name, uid, gid)
        finally:
            os.close(directory)
    except OSError as error:
        raise Unavailable(
            "data_dir_unusable",
            f"the data directory {path} cannot be handed over to {name}: {error.strerror}",
            "choose another with --data-dir or VPN_DATA_DIR, or mend its permissions",
        ) from None


def _hand_over(path: Path, directory: int, name: str, uid: int, gid: int) -> None:
    owner = os.fstat(directory).st_uid
    if owner not in (0, uid):
        raise Unavailable(
            "data_dir_foreign",
            f"the data directory {path} belongs to the account number {owner}, not to {name}",
            f"choose another with --data-dir, or give it away: chown -R {name}: {path}",
        )
    names = os.listdir(directory)
    if owner == 0 and names and paths.LOCK not in names:
        raise Unavailable(
            "data_dir_exposed",
            f"{path} is root's and holds other things",
            "choose a directory of its own with --data-dir",
        )
    for known in (each for each in names if each.startswith(OURS)):
        _give_file(directory, known, uid, gid)
    if paths.JOURNALS in names:
        _give_journals(directory, uid, gid)
    if owner == 0:
        os.fchown(directory, uid, gid)  # last: until now nobody else could write there


def _give_journals(directory: int, uid: int, gid: int) -> None:
    try:
        journals: int = os.open(paths.JOURNALS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except NotADirectoryError:  # or a link
        return
    try:
        for name in os.listdir(journals):
            _give_file(journals, name, uid, gid)
        if os.fstat(journals).st_uid == 0:
            os.fchown(journals, uid, gid)  # last, as above
    finally:
        os.close(journals)


def _give_file(directory: int, name: str, uid: int, gid: int) -> None:
    if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        return  # the socket is made anew by whoever owns the directory
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_uid == 0 and status.st_nlink == 1:
            os.fchown(file, uid, gid)
    finally:
        os.close(file)


def _make(path: Path) -> None:
    """Create the directory (0700), and root's own above it, which everybody may pass (0755)."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700)
        if each != path:
            each.chmod(0o755)
