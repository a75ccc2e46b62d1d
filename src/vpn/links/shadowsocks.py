"""Shadowsocks links (SIP002): ``ss://BASE64(method:password)@host:port/?plugin=…#name``.

The methods of 2022 are written unencoded, ``ss://method:key@…`` with the key percent-encoded; where clients say who
they are, it is ``serverkey:userkey``. Read are also padded and standard base64, the plain form for all methods, and
the oldest form, which is base64 from end to end.
"""

from __future__ import annotations

import re

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.shadowsocks import Method, check_key, method_of
from vpn.links import uri
from vpn.links.checks import check_place, check_port, check_texts
from vpn.links.uri import Form

_FORM = Form("Shadowsocks", ("ss",), "ss://BASE64(METHOD:PASSWORD)@HOST:PORT#NAME")
_METHOD = re.compile(r"[a-z0-9][a-z0-9-]{1,40}")


class ShadowsocksLink(msgspec.Struct, frozen=True):
    """A Shadowsocks server and what it takes to use it."""

    method: str
    password: str
    """Of 2022: a key in base64, or several with ``:`` between them, the server's first."""
    host: str
    port: int
    name: str = ""
    plugin: str = ""
    """A SIP003 plugin with its options, ``name;key=value``."""
    outline: bool = False
    """Whether Outline shall take it for one of its own servers."""

    def __post_init__(self) -> None:
        check_place(_FORM, self.host, self.port)
        check_texts(_FORM, password=self.password, name=self.name, plugin=self.plugin)
        _check_password(_method(self.method), self.method, self.password)


def build(link: ShadowsocksLink) -> str:
    """Write the link."""
    if method_of(link.method).edition == 2022:
        userinfo = f"{link.method}:{uri.encode(link.password)}"
    else:
        userinfo = uri.encode_base64(f"{link.method}:{link.password}")
    query = {"plugin": link.plugin} if link.plugin else {}
    if link.outline:
        query["outline"] = "1"
    slash = "/" if query else ""  # SIP002 wants one before a query
    place = uri.join_place(link.host, link.port)
    return f"ss://{userinfo}@{place}{slash}{uri.join_query(query)}{uri.join_name(link.name)}"


def parse(text: str) -> ShadowsocksLink:
    """Read a link; parameters that are not known are left out.

    Raises:
        Invalid: it is none, the method is not known, or the key has the wrong length.
    """
    _, rest, query, name = uri.split_fragment(text, _FORM)
    if "@" in rest:
        userinfo, _, place = rest.rpartition("@")
        method, password = _credentials(userinfo)
    else:
        decoded = _decode_whole(rest)
        credentials, _, place = decoded.rpartition("@")
        method, colon, password = credentials.partition(":")
        if not colon:
            raise _FORM.error("its base64 does not hold METHOD:PASSWORD@HOST:PORT")
    host, port = uri.split_place(place.partition("/")[0], _FORM)
    said = uri.split_query(query, _FORM)
    return ShadowsocksLink(
        canonical(method),
        password,
        host,
        check_port(_FORM, port),
        name,
        plugin=said.get("plugin", ""),
        outline=said.get("outline") == "1",
    )


def _credentials(userinfo: str) -> tuple[str, str]:
    method, colon, password = userinfo.partition(":")
    if colon:
        return uri.decode(method, _FORM, "method"), uri.decode(password, _FORM, "password")
    plain = uri.decode(userinfo, _FORM, "password")
    if ":" not in plain:
        decoded = uri.decode_base64(plain)
        if decoded is None:
            raise _FORM.error("what stands before the @ is not base64")
        plain = decoded
    method, colon, password = plain.partition(":")
    if not colon:
        raise _FORM.error("what stands before the @ does not hold METHOD:PASSWORD")
    return method, password


def _decode_whole(rest: str) -> str:
    # A slash at the end is none of the base64: that ends in a port, and no digit ends in a slash.
    decoded = uri.decode_base64(uri.decode(rest, _FORM, "base64").removesuffix("/"))
    if decoded is None:
        raise _FORM.error("it has no @, and is not base64 either")
    return decoded


def canonical(method: str) -> str:
    """A method as we write it.

    Raises:
        Invalid: there is none of this name.
    """
    return _method(method).name


def _method(name: str) -> Method:
    if not _METHOD.fullmatch(name):  # it may be anything, also a password in the wrong place
        raise _FORM.error("its method is none")
    return method_of(name)


def _check_password(method: Method, written: str, password: str) -> None:
    if method.name != written:
        raise _FORM.error(f"the method {written} is written {method.name}")
    if not password:
        raise _FORM.error("its password is missing")
    if method.edition != 2022:
        return
    keys = password.split(":")
    if len(keys) > 1 and not method.identified:
        raise Invalid(
            "bad_key",
            f"a password for {method.name} is one key, this one has {len(keys)}",
            "several keys are for the 2022 methods with aes, whose clients say who they are",
        )
    for key in keys:
        check_key(method, key)
