from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from vpn.domain.address import Endpoint
from vpn.settings.values import (
    AbsolutePath,
    Destinations,
    Listen,
    ListenOrNot,
    Name,
    NameServers,
    Networks,
    Seconds,
    Section,
    Texts,
    section_in,
)


def value(kind: Any, given: Any) -> Any:
    return TypeAdapter(kind).validate_python(given)


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (Listen, "[::1]:80", Endpoint("::1", 80)),
        (Listen, Endpoint("::1", 80), Endpoint("::1", 80)),
        (ListenOrNot, "none", None),
        (ListenOrNot, None, None),
        (ListenOrNot, "127.0.0.1:0", Endpoint("127.0.0.1", 0)),
        (Seconds, "1.5", 1.5),
        (Texts, "a, b,,c ,", ["a", "b", "c"]),
        (Texts, ["a,b"], ["a,b"]),
        (Texts, "", []),
        (Networks, "10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]),
        (Destinations, ".example.com:443,10.0.0.0/8", [".example.com:443", "10.0.0.0/8"]),
        (NameServers, "192.0.2.1, 192.0.2.2:5353, ::1, [::1]:53", ["192.0.2.1", "192.0.2.2:5353", "::1", "[::1]:53"]),
        (Name, "a-b_1", "a-b_1"),
        (AbsolutePath, "/a/b", Path("/a/b")),
    ],
)
def test_what_is_understood(kind, given, wanted):
    assert value(kind, given) == wanted


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Listen, "1080"),
        (Listen, "none"),
        (Listen, None),
        (ListenOrNot, "never"),
        (Seconds, 0),
        (Seconds, -1),
        (Seconds, "inf"),
        (Seconds, "nan"),
        (Seconds, 86400 * 8),
        (Networks, "10.0.0.1/8"),
        (Networks, ["example.com"]),
        (Destinations, "http://x"),
        (NameServers, "dns.example"),
        (NameServers, "dns.example:53"),
        (NameServers, "192.0.2.1:x"),
        (NameServers, "192.0.2.1:0"),
        (Name, ""),
        (Name, "A"),
        (Name, "-a"),
        (Name, "a" * 64),
        (Name, "a.b"),
        (Name, "a\n"),
        (AbsolutePath, ""),
    ],
)
def test_what_is_refused(kind, given):
    with pytest.raises(ValidationError):
        value(kind, given)


def test_a_relative_path_is_made_absolute():
    assert value(AbsolutePath, "x").is_absolute()


def test_sections_are_found_wherever_they_stand():
    class Inner(Section):
        x: int = 1

    assert section_in(Inner) is Inner
    assert section_in(Inner | None) is Inner
    assert section_in(dict[str, Inner]) is Inner
    assert section_in(list[Inner]) is Inner
    assert section_in(dict[str, list[int]]) is None
    assert section_in(int) is None


def test_a_path_is_read_from_json():
    assert TypeAdapter(AbsolutePath).validate_json('"/a/b"') == Path("/a/b")
