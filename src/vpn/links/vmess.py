"""VMess links, in both forms: base64 of JSON, which all clients read, and the URL that newer ones prefer.

The JSON is v2rayN's, version 2: ``v ps add port id aid scy net type host path tls sni alpn fp``, all of them texts. It
knows neither Reality nor ECH.
"""

from __future__ import annotations

import base64
import json

import msgspec

from vpn.links import stream, uri
from vpn.links.checks import check_choice, check_place, check_port, check_range, check_texts, check_uuid
from vpn.links.stream import Stream
from vpn.links.uri import Form

CIPHERS = ("auto", "aes-128-gcm", "chacha20-poly1305", "none", "zero")
_FORM = Form("VMess", ("vmess",), "vmess://BASE64(JSON), or vmess://UUID@HOST:PORT?encryption=auto&type=tcp#NAME")
# What the JSON calls the fields of a stream; of gRPC and XHTTP, other ones stand in the same places.
_JSON = {"tls": "security", "sni": "sni", "alpn": "alpn", "fp": "fp", "insecure": "allowInsecure"}
_JSON_NETWORK = {
    "grpc": {"path": "serviceName", "host": "authority", "type": "mode"},
    "xhttp": {"path": "path", "host": "host", "type": "mode"},
}
_JSON_OTHER = {"path": "path", "host": "host", "type": "headerType"}


class VmessLink(msgspec.Struct, frozen=True):
    """A VMess server and what it takes to use it."""

    id: str
    """A UUID."""
    host: str
    port: int
    stream: Stream = Stream()
    cipher: str = "auto"
    alter_id: int = 0
    """Of servers as they were before 2022; 0: AEAD."""
    name: str = ""

    def __post_init__(self) -> None:
        check_uuid(_FORM, self.id)
        check_place(_FORM, self.host, self.port)
        check_choice(_FORM, "cipher", self.cipher, CIPHERS)
        check_range(_FORM, "aid", self.alter_id, 65535)
        check_texts(_FORM, name=self.name)


def fits_json(link: VmessLink) -> bool:
    """Whether the form that all clients read can say all of it."""
    return link.stream.security != "reality" and not link.stream.ech and not link.stream.extra


def build(link: VmessLink) -> str:
    """Write base64 of JSON where that can say all of it, and the URL elsewhere.

    Raises:
        Invalid: neither can.
    """
    if not fits_json(link):
        return build_url(link)
    query = stream.to_query(link.stream)
    names = _JSON_NETWORK.get(link.stream.network, _JSON_OTHER)
    document = {
        "v": "2",
        "ps": link.name,
        "add": link.host,
        "port": str(link.port),
        "id": link.id,
        "aid": str(link.alter_id),
        "scy": link.cipher,
        "net": link.stream.network,
    }
    document |= {short: query.get(key, "") for short, key in names.items()}
    document |= {short: query.get(key, "") for short, key in _JSON.items()}
    document["type"] = document["type"] or "none"
    document["tls"] = "" if link.stream.security == "none" else link.stream.security
    if not document["insecure"]:
        del document["insecure"]  # few clients know it
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # Some clients want the padding, none minds it. Standard base64 may have + and /: all of them expect that here.
    return f"vmess://{base64.b64encode(text.encode()).decode()}"


def build_url(link: VmessLink) -> str:
    """Write the URL.

    Raises:
        Invalid: it has an `alter_id`, which that form does not know.
    """
    if link.alter_id:
        raise _FORM.error("only its JSON form knows an aid")
    query = {"encryption": link.cipher} | stream.to_query(link.stream)
    return uri.join("vmess", link.id, (link.host, link.port), query, link.name)


def parse(text: str) -> VmessLink:
    """Read a link of either form.

    Raises:
        Invalid: it is none.
    """
    _, rest, _, name = uri.split_fragment(text, _FORM)
    if "@" not in rest:
        return _parse_json(rest, name)
    parts = uri.split(text, _FORM)
    return VmessLink(
        uri.decode(parts.userinfo, _FORM, "id"),
        parts.host,
        check_port(_FORM, parts.port),
        stream.of_query(parts.query),
        cipher=parts.query.get("encryption") or "auto",
        name=parts.name,
    )


def _parse_json(encoded: str, name: str) -> VmessLink:
    decoded = uri.decode_base64(uri.decode(encoded, _FORM, "base64"))
    if decoded is None:
        raise _FORM.error("it is neither base64 nor a URL with an @")
    try:
        found = json.loads(decoded)
    except (ValueError, RecursionError):
        raise _FORM.error("its base64 does not hold JSON") from None
    if not isinstance(found, dict):
        raise _FORM.error("its JSON is no object")
    said = {key: _text(key, value) for key, value in found.items()}
    network = said.get("net") or "tcp"
    names = _JSON_NETWORK.get(network, _JSON_OTHER)
    query = {key: said.get(short, "") for short, key in (names | _JSON).items()}
    if network in _JSON_NETWORK and query.get("mode") == "none":
        query["mode"] = ""
    host = said.get("add", "")
    return VmessLink(
        said.get("id", ""),
        host[1:-1] if host.startswith("[") and host.endswith("]") else host,
        _number("port", said.get("port", "")),
        stream.of_query(query | {"type": network}),
        cipher=said.get("scy") or "auto",
        alter_id=_number("aid", said.get("aid") or "0"),
        name=said.get("ps", "") or name,
    )


def _text(key: str, value: object) -> str:
    """A value as text; some clients write numbers and truths."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    raise _FORM.error("a value in its JSON is neither text nor a number")


def _number(what: str, text: str) -> int:
    if not text:
        raise _FORM.error(f"its {what} is missing")
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise _FORM.error(f"its {what} is no number")
    return int(text)
