"""Where policies come from: files and documents, read, checked and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from vpn.domain.acl import CompiledPolicy
from vpn.domain.errors import Invalid
from vpn.domain.policy import Policy
from vpn.domain.policy_document import parse_policy
from vpn.proxy.countries import Countries
from vpn.settings.document import read_document
from vpn.settings.policy import PolicySettings
from vpn.store.policies import Version, digest_of

LARGEST = 8 * 1024 * 1024  # bytes of a document

Signature = tuple[tuple[int, int, int] | None, ...]
"""Of each file: when it was written, its size, and which one it is; None: it is not there."""


class Compiled(NamedTuple):
    """A policy, and what it decides by."""

    policy: Policy
    rules: CompiledPolicy


def compile_policy(policy: Policy, geoip: Path | None) -> Compiled:
    """Make a policy ready to decide. It takes up to some hundred milliseconds.

    Raises:
        Invalid: it names countries, and there is no file of them.
        Unavailable: that file cannot be used.
    """
    return Compiled(policy, CompiledPolicy(policy, Countries(str(geoip)).code if geoip is not None else None))


def compile_document(values: Mapping[str, Any], geoip: Path | None) -> Compiled:
    """The same for a document.

    Raises:
        Invalid: something in it is wrong.
        Unavailable: the file of countries cannot be used.
    """
    return compile_policy(parse_policy(values, countries=geoip is not None), geoip)


def compile_file(path: Path, geoip: Path | None) -> tuple[Version, CompiledPolicy]:
    """The same for a file; it is a version of the number 0.

    Raises:
        Invalid: something in it is wrong; the message says in which line.
        Unavailable: it cannot be read, or the file of countries cannot be used.
    """
    document = read_document(path, LARGEST)
    written = path.stat().st_mtime
    if not document.values:
        raise Invalid("bad_policy", f"{path}: the file is empty", "begin with default: allow, or default: block")
    policy = parse_policy(document.values, document.where, countries=geoip is not None)
    compiled = compile_policy(policy, geoip)
    moment = datetime.fromtimestamp(written, UTC)
    version = Version(number=0, created_at=moment, author="", comment="", digest=digest_of(policy), policy=policy)
    return version, compiled.rules


def signature(settings: PolicySettings) -> Signature:
    """What changes when one of the files is written or replaced."""
    files = (settings.file if settings.mode == "file" else None, settings.geoip)
    return tuple(_look(path) for path in files if path is not None)


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
