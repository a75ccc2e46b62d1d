import json

import pytest

from vpn.domain.session import Session
from vpn.services.access_lines import FORMATS, combined_line, json_line, logfmt_line


def session(**fields):
    known = {
        "id": 0x1234,
        "inbound": "main",
        "source_host": "192.0.2.1",
        "source_port": 5000,
        "started": 1_767_225_600.0,
        "protocol": "socks5",
        "user": "alice",
        "host": "example.com",
        "port": 443,
        "address": "203.0.113.5",
        "status": "closed",
        "reason": "eof",
        "bytes_sent": 10,
        "bytes_received": 20,
        "ended": 1_767_225_601.5,
        "rule": "default",
    }
    return Session(**(known | fields))


def test_an_object():
    assert json.loads(json_line(session())) == {
        "time": "2026-01-01T00:00:01.500+00:00",
        "session": "0000000000001234",
        "user": "alice",
        "source": "192.0.2.1:5000",
        "inbound": "main",
        "protocol": "socks5",
        "host": "example.com",
        "port": 443,
        "address": "203.0.113.5",
        "upstream": "",
        "status": "closed",
        "reason": "eof",
        "rule": "default",
        "bytes_sent": 10,
        "bytes_received": 20,
        "duration": 1.5,
        "connect_time": 0.0,
        "first_byte_time": 0.0,
    }


def test_pairs():
    line = logfmt_line(session(user='al "ice', reason="", source_host="2001:db8::1")).decode()
    assert line.startswith("time=2026-01-01T00:00:01.500+00:00 session=0000000000001234 ")
    assert 'user="al \\"ice" source=[2001:db8::1]:5000 ' in line
    assert "reason" not in line
    assert line.endswith("duration=1.5 connect_time=0.0 first_byte_time=0.0\n")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"status": "failed", "reason": "authentication_failed"}, 407),
        ({"status": "rejected_by_acl", "reason": "rule"}, 403),
        ({"status": "failed", "reason": "refused"}, 502),
    ],
)
def test_as_web_servers_write_it(fields, status):
    assert combined_line(session(**fields)).decode() == (
        f'192.0.2.1 - alice [01/Jan/2026:00:00:01 +0000] "CONNECT example.com:443 socks5" {status} 20 "-" '
        '"0000000000001234" 1.500\n'
    )


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("strange", ["a\nb", "\x1b[2J", '"', "\\", "\udcff", "ü", "=", " ", "\u2028"])
def test_nothing_from_outside_makes_two_lines_of_one(format, strange):
    line = FORMATS[format](session(user=strange, host=strange))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b"\x1b" not in line
    if format == "combined":
        assert line.count(b'"') == 6
        assert len(line.split()) == 13
