from __future__ import annotations

import pytest

from tests.support.geoip import write_mmdb
from vpn.domain.address import pack
from vpn.domain.errors import Unavailable
from vpn.proxy import countries
from vpn.proxy.countries import Countries

RECORDS = {
    "192.0.2.0/24": {"country": {"iso_code": "DE"}},
    "198.51.100.0/25": {"country_code": "fr"},
    "203.0.113.0/24": {"country": "NL"},
    "2001:db8::/32": {"country": {"iso_code": "SE"}, "continent": {"code": "EU"}},
    "3fff::/20": {"continent": {"code": "EU"}},
}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("192.0.2.200", "DE"),
        ("198.51.100.1", "FR"),
        ("203.0.113.1", "NL"),
        ("198.51.100.200", ""),
        ("10.0.0.1", ""),
        ("2001:db8:1::1", "SE"),
        ("3fff::1", ""),
        ("::1", ""),
    ],
)
def test_countries_of_addresses(tmp_path, address, code):
    found = Countries(str(write_mmdb(tmp_path / "c.mmdb", RECORDS)))
    assert [found.code(pack(address)), found.code(pack(address))] == [code, code]
    found.close()


def test_a_file_of_ipv4_knows_nothing_of_ipv6(tmp_path):
    found = Countries(str(write_mmdb(tmp_path / "c.mmdb", {"192.0.2.0/24": {"country_code": "DE"}}, version=4)))
    assert [found.code(pack("192.0.2.1")), found.code(pack("2001:db8::1"))] == ["DE", ""]
    found.close()


def test_what_is_remembered_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(countries, "CAPACITY", 2)
    found = Countries(str(write_mmdb(tmp_path / "c.mmdb", RECORDS)))
    addresses = [pack(f"192.0.2.{number}") for number in range(5)]
    assert [found.code(address) for address in addresses * 2] == ["DE"] * 10
    assert len(found._known) == 2
    found.close()


def test_a_file_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "text.mmdb").write_text("not one")
    for name, problem in (
        ("none.mmdb", "No such file"),
        ("text.mmdb", "no MaxMind DB file"),
        (".", "no MaxMind DB file"),
    ):
        with pytest.raises(Unavailable, match=problem) as caught:
            Countries(str(tmp_path / name))
        assert "policy.geoip" in caught.value.hint
