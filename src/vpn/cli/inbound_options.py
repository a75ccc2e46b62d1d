"""The options by which inbounds are described; the API's fields are those of the settings below proxy.inbounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from vpn.cli.late_options import LateCommand, LateOption, said
from vpn.cli.secret_input import read_secret

OPTIONS = (
    LateOption("method", "--method", "METHOD", "Shadowsocks' cipher; else chacha20-ietf-poly1305, which all know."),
    LateOption(
        "key",
        "--key",
        "BASE64",
        "The key of a 2022-blake3-aes method; - asks for it, or reads it. Left out, one is made.",
    ),
    LateOption("public_host", "--public-host", "HOST", "The address or name in links, e.g. vpn.example.org."),
    LateOption("public_port", "--public-port", "PORT", "The port in links, where it is another one."),
    LateOption("max_connections", "--max-connections", "COUNT", "Clients at once; 0: any number."),
    LateOption("open_to", "--open-to", "NETWORK", "A network whose clients need no password.", repeatable=True),
    LateOption("tls.certificate", "--certificate", "FILE", "TLS: PEM file of the certificate and its issuers."),
    LateOption("tls.key", "--private-key", "FILE", "TLS: PEM file of the certificate's key."),
    LateOption("tls.client_ca", "--client-ca", "FILE", "TLS: PEM file of who issues the clients' certificates."),
)
_FILES = ("tls.certificate", "tls.key", "tls.client_ca")


class InboundCommand(LateCommand):
    """A command with the options of `OPTIONS`."""

    options = OPTIONS


def fields_said(
    ctx: typer.Context, listen: str | None, pairs: Iterable[str], cleared: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields that the options of this command say, and ``FIELD=VALUE``; None: back to the default."""
    fields: dict[str, Any] = {}
    for field in cleared:
        _put(fields, field, None)
    on_this_machine = ctx.obj.server is None
    for field, value in said(ctx, OPTIONS).items():
        _put(fields, field, _absolute(value) if field in _FILES and on_this_machine else value)
    if "key" in fields:
        if fields["key"] is None:
            raise typer.BadParameter("--clear key: an inbound has one; give it another with --key")
        fields["key"] = read_secret(fields["key"], "Key")
    if listen is not None:
        fields["listen"] = _address(listen)
    for pair in pairs:
        field, sign, value = pair.partition("=")
        if not sign or not field:
            raise typer.BadParameter(f"--set {pair}: write FIELD=VALUE")
        _put(fields, field, value)
    return fields


def _put(fields: dict[str, Any], field: str, value: Any) -> None:
    """Say something of a field, or of a part of one, as tls.alpn is."""
    *above, last = field.replace("-", "_").split(".")
    for part in above:
        fields = fields.setdefault(part, {})
        if not isinstance(fields, dict):
            raise typer.BadParameter(f"{field}: {part} has no parts, or is cleared")
    fields[last] = value


def _address(listen: str) -> str:
    """A port alone is meant for everybody."""
    return f"0.0.0.0:{listen}" if listen.isascii() and listen.isdigit() else listen


def _absolute(path: str) -> str:
    """As seen from here: the daemon has another working directory. One elsewhere has its own files."""
    from vpn.settings.paths import absolute

    return str(absolute(path)) if path else path
