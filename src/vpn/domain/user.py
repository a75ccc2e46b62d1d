"""Users: who may connect, and what their names and passwords may look like."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.limits import NO_LIMITS, Limits
from vpn.domain.random_text import random_text

NAME_LIMIT = 64
NOTE_LIMIT = 500
PASSWORD_LIMIT = 255  # bytes of UTF-8; RFC 1929 has one length byte

NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._@+-]*"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the store holds it."""

    name: str
    password_hash: str
    credential: int
    """A random number, new with every password, so that remembered verdicts on older ones are void."""
    enabled: bool
    note: str
    created_at: datetime
    updated_at: datetime
    number: int = 0
    """What the store knows the user by, whatever the name becomes; 0: not stored yet."""
    groups: tuple[str, ...] = ()
    """Names of groups, the nearest first; the line of inheritance ends with EVERYONE, which is not named."""
    limits: Limits = NO_LIMITS
    first_used_at: datetime | None = None
    """The first time that the password was accepted; `Limits.expires_after` counts from then."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which users are meant: those for whom all of it is true."""

    search: str = ""
    """Part of the name or the note."""
    group: str = ""
    """A group that the user is in; that there is one is not asked."""
    enabled: bool | None = None
    names: tuple[str, ...] | None = None
    """Exactly these."""


ALL_USERS = Selection()


def canonical(name: str) -> str:
    """The form under which names are compared: ``Bob`` and ``bob`` are one user."""
    return name.lower()


def check_name(name: str, bearer: str = "user") -> str:
    """Return `name` if a user, or another `bearer`, may bear it.

    Raises:
        Invalid: it is empty, too long, or has a character that protocols and shells would trip over.
    """
    if not name:
        raise Invalid("bad_name", f"the {bearer} name is empty", "give a name such as alice")
    if len(name) > NAME_LIMIT:
        raise Invalid("bad_name", f"the {bearer} name has {len(name)} characters", f"use at most {NAME_LIMIT}")
    if not re.fullmatch(NAME_PATTERN, name):
        raise Invalid(
            "bad_name",
            f"{name!r} has characters that a {bearer} name cannot have",
            "use letters, digits and . _ @ + - and begin with a letter, a digit or _",
        )
    return name


def check_password(password: str) -> str:
    """Return `password` if clients can send it.

    Raises:
        Invalid: it is empty, longer than 255 bytes of UTF-8, or has control characters.
    """
    size = len(password.encode(errors="surrogatepass"))
    if not password:
        raise Invalid("bad_password", "the password is empty", "give one, or leave it out to have one made")
    if size > PASSWORD_LIMIT:
        raise Invalid("bad_password", f"the password has {size} bytes", f"use at most {PASSWORD_LIMIT}")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in password):
        raise Invalid("bad_password", "the password has control characters", "use printable characters")
    if any(0xD800 <= ord(character) < 0xE000 for character in password):
        raise Invalid("bad_password", "the password is not valid Unicode", "use printable characters")
    return password


def check_note(note: str) -> str:
    """Return `note` if it can be kept.

    Raises:
        Invalid: it is longer than 500 characters, or has control characters or ones that are not Unicode's.
    """
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in note):
        raise Invalid("bad_note", "the note has control characters", "write it in one line")
    if any(0xD800 <= ord(character) < 0xE000 for character in note):
        raise Invalid("bad_note", "the note is not valid Unicode", "use printable characters")
    if len(note) > NOTE_LIMIT:
        raise Invalid("bad_note", f"the note has {len(note)} characters", f"use at most {NOTE_LIMIT}")
    return note


def make_credential() -> int:
    """A credential number that no other password had."""
    return secrets.randbits(62) + 1


def make_password() -> str:
    """A random password of 116 bits that survives shells, URLs and being read aloud."""
    return random_text(20)
