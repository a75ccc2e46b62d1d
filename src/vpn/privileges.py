"""Going on without root's privileges, and saying what cannot be done without them.

Started as root, the daemon opens its ports, hands its data directory over, and becomes an ordinary account,
for good, before it reads the first byte from a client. It keeps the one capability by which ports below 1024
can be opened later; the programs that it starts, workers among them, have none.
"""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vpn import capabilities
from vpn.account import Account, check_access, find_account, own_name, owner_of, withheld
from vpn.capabilities import Capability
from vpn.ownership import hand_over

KEPT = frozenset({Capability.NET_BIND_SERVICE})


class Standing(NamedTuple):
    """How this process stands, as a line of the log."""

    level: int
    event: str
    fields: dict[str, str]


def settle(user: str, data_dir: Path) -> Standing:
    """Go on as `user` if this is root; tell how we stand then, and what cannot be done.

    To be called with all ports open, before there are threads and before anything is written.

    Raises:
        DomainError: the account does not exist or cannot run us, or the directory cannot be handed over.
    """
    if os.geteuid() != 0:
        off = switched_off(
            held=capabilities.held(),
            first_port=_first_unprivileged_port(),
            most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            user=user,
            own=own_name(),
        )
        ignored = bool(user) and user != own_name()
        level = logging.WARNING if ignored else logging.INFO
        return Standing(level, "started without root's privileges", {"off": "; ".join(off) or "nothing"})
    if not user:
        return Standing(logging.WARNING, "running as root", {"hint": "name an ordinary account in process.user"})
    account = find_account(user)
    check_access(account)
    hand_over(data_dir, account.name, account.uid, account.gid)
    drop(account, keep=KEPT)
    return Standing(logging.INFO, "root's privileges dropped", {"user": account.name})


def follow_owner(path: Path) -> None:
    """Root becomes the owner of a path: what lies in an ordinary account's directory may lead root astray.

    Raises:
        DomainError: the owner cannot run us.
    """
    if os.geteuid() != 0 or not path.exists():
        return
    owner = owner_of(path)
    if owner is not None and owner.uid != 0:
        check_access(owner)
        drop(owner, keep=frozenset())


def drop(account: Account, *, keep: frozenset[Capability]) -> None:
    """Become an account, for good.

    Args:
        account: whom.
        keep: the capabilities that this process, but none that it starts, keeps as far as it has them.

    Raises:
        Unavailable: the kernel forbids it.
        RuntimeError: there are threads, which would stay root; or the kernel did not do as it said.
    """
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 -- names are enough
        raise RuntimeError("privileges cannot be dropped: there are other threads")
    kept = frozenset(capability for capability in keep if capability in capabilities.held())
    try:
        capabilities.empty_bounding_set()
        capabilities.survive_setuid(True)
        os.setgroups(account.groups)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        capabilities.hold_only(kept)
        capabilities.survive_setuid(False)
        capabilities.no_new_privileges()
        capabilities.hide_memory()
    except OSError as error:
        raise withheld(account, error) from None
    _verify(account, kept)
    # What libraries look for in a home is not to be looked for in root's.
    os.environ.update(HOME=account.home, USER=account.name, LOGNAME=account.name)


def switched_off(*, held: frozenset[int], first_port: int, most_files: int, user: str, own: str) -> list[str]:
    """What an ordinary account cannot do, in words.

    Args:
        held: its capabilities.
        first_port: the lowest port that needs no privilege.
        most_files: the hard limit of open files.
        user: process.user.
        own: the name of the account that this runs as.
    """
    off = []
    if first_port > 1 and Capability.NET_BIND_SERVICE not in held:
        off.append(f"listening on ports below {first_port}")
    if Capability.SYS_RESOURCE not in held:
        off.append(f"more than {most_files} open files")
    if user != own:
        off.append(f"going on as another account{f', so process.user ({user}) is ignored' if user else ''}")
    return off


def _verify(account: Account, kept: frozenset[Capability]) -> None:
    """Look, and try: a drop that only seems to have worked is worse than none."""
    done = (
        os.getresuid() == (account.uid,) * 3
        and os.getresgid() == (account.gid,) * 3
        and set(os.getgroups()) == set(account.groups)
        and capabilities.held() == kept
    )
    back = _succeeds(os.setuid, 0) or _succeeds(os.setgroups, [0]) or (account.gid != 0 and _succeeds(os.setgid, 0))
    if back or not done:
        raise RuntimeError(f"root's privileges are not gone after becoming {account.name}")


def _succeeds(change: Callable[[Any], None], value: Any) -> bool:
    try:
        change(value)
    except PermissionError:
        return False
    return True


def _first_unprivileged_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    except OSError:
        return 1024
