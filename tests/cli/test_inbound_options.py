from types import SimpleNamespace

import pytest
import typer

from vpn.cli.inbound_options import OPTIONS, fields_said
from vpn.cli.late_options import _SAID
from vpn.settings.proxy import InboundSettings
from vpn.settings.values import section_in


class Ran:
    """A command that has been given these options."""

    def __init__(self, server=None, **said):
        self.obj = SimpleNamespace(server=server)
        self.meta = {_SAID: {option: said[option.key] for option in OPTIONS if option.key in said}}


def test_every_field_that_an_option_is_for_is_one():
    for option in OPTIONS:
        model = InboundSettings
        for part in option.field.split("."):
            field = model.model_fields.get(part)
            if field is None:
                assert option.field == "key"
                break
            model = section_in(field.annotation) or model


def test_what_is_said():
    ran = Ran(**{"public-host": "h", "private-key": "/k.pem", "open-to": ["::1"]})
    assert fields_said(ran, "8388", ["tls.alpn=h2", "idle-timeout=5", "via="], ["max-connections"]) == {
        "public_host": "h",
        "open_to": ["::1"],
        "tls": {"key": "/k.pem", "alpn": "h2"},
        "listen": "0.0.0.0:8388",
        "idle_timeout": "5",
        "via": "",
        "max_connections": None,
    }
    assert fields_said(Ran(), "[::]:1", []) == {"listen": "[::]:1"}
    assert fields_said(Ran(), None, [], ["tls.alpn"]) == {"tls": {"alpn": None}}


@pytest.mark.parametrize("pair", ["idle", "=5", "listen.port=1"])
def test_pairs_that_are_none(pair):
    with pytest.raises(typer.BadParameter, match=pair.partition(".")[0]):
        fields_said(Ran(), "1", [pair])


def test_what_is_cleared_is_not_said_in_parts():
    with pytest.raises(typer.BadParameter, match="is cleared"):
        fields_said(Ran(), None, ["tls.alpn=h2"], ["tls"])


def test_files_of_a_daemon_elsewhere_are_there(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = {"certificate": "c.pem"}
    assert fields_said(Ran(**said), None, []) == {"tls": {"certificate": str(tmp_path / "c.pem")}}
    assert fields_said(Ran("https://vpn.example.org", **said), None, []) == {"tls": {"certificate": "c.pem"}}
