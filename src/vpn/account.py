"""Accounts of the machine: whom a process can belong to."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import NamedTuple

from vpn.domain.errors import Invalid, Unavailable


class Account(NamedTuple):
    """Whom a process can belong to."""

    name: str
    uid: int
    gid: int
    groups: list[int]
    """All of them, `gid` too."""
    home: str


def find_account(name: str) -> Account:
    """The account of that name.

    Raises:
        Invalid: there is none, or it is as mighty as root.
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise Invalid(
            "unknown_account",
            f"process.user: there is no account {name} on this machine",
            f"make it: useradd --system --shell /usr/sbin/nologin {name}",
        ) from None
    account = _account(entry)
    if account.uid == 0 or 0 in account.groups:
        raise Invalid(
            "account_is_root",
            f"process.user: {name} is root, or in root's group",
            "name an ordinary account, or leave the setting empty to stay root",
        )
    return account


def owner_of(path: Path) -> Account | None:
    """The account that a path belongs to, if it has a name.

    Raises:
        OSError: there is no such path.
    """
    try:
        return _account(pwd.getpwuid(path.stat().st_uid))
    except KeyError:
        return None


def own_name() -> str:
    """The name of the account that this process acts as, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def check_access(account: Account) -> None:
    """See that an account can run this program; to be called as root.

    Raises:
        Unavailable: it cannot, or root may not become it.
    """
    needed = [(sys.executable, os.X_OK), (os.__file__, os.R_OK), (__file__, os.R_OK)]
    before = os.getgroups()
    try:
        os.setgroups(account.groups)
        os.setegid(account.gid)
        os.seteuid(account.uid)
        closed = [path for path, mode in needed if not os.access(path, mode, effective_ids=True)]
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)
    except OSError as error:
        raise withheld(account, error) from None
    if closed:
        raise Unavailable(
            "account_cannot_run",
            f"the account {account.name} cannot reach {closed[0]}, which runs vpn",
            "install Python and vpn-manager where every account may read them, under /opt for instance",
        )


def withheld(account: Account, error: OSError) -> Unavailable:
    """What to say where the kernel does not let root become an account."""
    return Unavailable(
        "cannot_drop_privileges",
        f"cannot go on as {account.name}: {error.strerror}",
        "root needs CAP_SETUID and CAP_SETGID for it, which a container may withhold",
    )


def _account(entry: pwd.struct_passwd) -> Account:
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)
