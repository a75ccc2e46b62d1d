"""Shadowsocks' methods, and the secrets that users and inbounds have for them.

There are two generations: AEAD ciphers (SIP004), whose keys come from passwords, and the edition of 2022 (SIP022),
whose passwords are keys, in base64, of exactly the right length.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import secrets

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.random_text import random_text

_SECRET = 22  # characters: 127 bits
_NEAR = 0.5  # of 1: so alike are names that may have been mistaken for each other, as chacha20 is
_PURPOSE = b"vpn-manager 2022"  # of the keys that are made of users' secrets


class Method(msgspec.Struct, frozen=True):
    """A cipher with what belongs to it."""

    name: str
    key_size: int
    """Bytes of a key, and of a salt."""
    cipher: str
    """``aes-gcm`` or ``chacha20-poly1305``."""
    edition: int
    """1: SIP004, 2022: SIP022."""

    @property
    def identified(self) -> bool:
        """Whether clients say, by identity headers (SIP023), which user they are; else their keys are tried."""
        return self.edition == 2022 and self.cipher == "aes-gcm"


METHODS = {
    each.name: each
    for each in (
        Method("aes-128-gcm", 16, "aes-gcm", 1),
        Method("aes-256-gcm", 32, "aes-gcm", 1),
        Method("chacha20-ietf-poly1305", 32, "chacha20-poly1305", 1),
        Method("2022-blake3-aes-128-gcm", 16, "aes-gcm", 2022),
        Method("2022-blake3-aes-256-gcm", 32, "aes-gcm", 2022),
        Method("2022-blake3-chacha20-poly1305", 32, "chacha20-poly1305", 2022),
    )
}
DEFAULT_METHOD = "chacha20-ietf-poly1305"
"""The one that every client knows."""
_ALIASES = {"chacha20-poly1305": "chacha20-ietf-poly1305"}


def method_of(name: str) -> Method:
    """The method of this name.

    Raises:
        Invalid: there is none, or it is one of those that are broken.
    """
    method = METHODS.get(_ALIASES.get(name.lower(), name.lower()))
    if method is None:
        near = difflib.get_close_matches(name.lower(), METHODS, n=1, cutoff=_NEAR)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Invalid("bad_method", f"{name[:64]!r} is no Shadowsocks method", f"{hint}there are: {', '.join(METHODS)}")
    return method


def make_secret() -> str:
    """A user's secret for Shadowsocks, of 127 bits."""
    return random_text(_SECRET)


def make_key(method: Method) -> str:
    """A new key of the edition of 2022, as it is written."""
    return base64.b64encode(secrets.token_bytes(method.key_size)).decode()


def check_key(method: Method, key: str) -> str:
    """Return `key` if it is one of this method, in base64.

    Raises:
        Invalid: it is not base64, or of another length.
    """
    hint = f"it is {method.key_size} random bytes in base64, as made by: openssl rand -base64 {method.key_size}"
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("bad_key", f"this is no key for {method.name}: it is not base64", hint) from None
    if len(raw) != method.key_size:
        problem = f"a key for {method.name} has {method.key_size} bytes, this one has {len(raw)}"
        raise Invalid("bad_key", problem, hint)
    return key


def user_password(method: Method, secret: str) -> str:
    """What a user's client has as password for a method: the secret itself, or a key.

    A secret that is a key of the method is it; of others a key is made.
    """
    if method.edition == 1:
        return secret
    try:
        return check_key(method, secret)
    except Invalid:
        digest = hashlib.blake2b(secret.encode(), digest_size=method.key_size, person=_PURPOSE)
        return base64.b64encode(digest.digest()).decode()


def client_password(method: Method, inbound_key: str, secret: str) -> str:
    """The whole password that a user's client needs for an inbound: with identity headers, the inbound's key too."""
    own = user_password(method, secret)
    return f"{inbound_key}:{own}" if method.identified else own
