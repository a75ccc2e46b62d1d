"""WireGuard: the configuration file that every client reads (and its QR code is), and the link that some do.

The link is ``wireguard://PRIVATEKEY@host:port/?publickey=…&address=…&mtu=…&allowedips=…&keepalive=…#name``; ``wg://``
is the same.
"""

from __future__ import annotations

from ipaddress import ip_interface

import msgspec

from vpn.domain.errors import Invalid
from vpn.links import uri
from vpn.links.checks import check_key, check_networks, check_place, check_port, check_range, check_texts
from vpn.links.uri import Form, listed

EVERYWHERE = ("0.0.0.0/0", "::/0")
_FORM = Form("WireGuard", ("wireguard", "wg"), "wireguard://PRIVATEKEY@HOST:PORT/?publickey=KEY&address=10.0.0.2%2F32")
_CONF = Form("WireGuard", (), "[Interface] PrivateKey, Address, [Peer] PublicKey, Endpoint, AllowedIPs")
_MOST_MTU = 65535


class WireGuardLink(msgspec.Struct, frozen=True, kw_only=True):
    """A WireGuard server and what it takes to use it. Keys are 32 bytes in base64."""

    private_key: str
    addresses: tuple[str, ...]
    public_key: str
    """The server's."""
    host: str
    port: int
    preshared_key: str = ""
    allowed_ips: tuple[str, ...] = EVERYWHERE
    keepalive: int = 0
    """Seconds; 0: never."""
    mtu: int = 0
    """Bytes; 0: the client's own."""
    dns: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        check_place(_FORM, self.host, self.port)
        check_key(_FORM, "private key", self.private_key)
        check_key(_FORM, "public key", self.public_key)
        if self.preshared_key:
            check_key(_FORM, "preshared key", self.preshared_key)
        if not self.addresses or not self.allowed_ips:
            raise _FORM.error("it has no address, or no allowed address")
        check_networks(_FORM, "address", self.addresses)
        if len({ip_interface(each).ip for each in self.addresses}) < len(self.addresses):
            raise _FORM.error("an address stands there twice")
        check_networks(_FORM, "allowedips", self.allowed_ips)
        check_networks(_FORM, "dns", self.dns, interfaces=False)
        check_range(_FORM, "keepalive", self.keepalive, 65535)
        check_range(_FORM, "mtu", self.mtu, _MOST_MTU)
        check_texts(_FORM, name=self.name)


def build(link: WireGuardLink) -> str:
    """Write the link."""
    query = {"publickey": link.public_key, "address": ",".join(link.addresses)}
    query |= {"allowedips": ",".join(link.allowed_ips)}
    if link.mtu:
        query["mtu"] = str(link.mtu)
    if link.keepalive:
        query["keepalive"] = str(link.keepalive)
    if link.preshared_key:
        query["presharedkey"] = link.preshared_key
    if link.dns:
        query["dns"] = ",".join(link.dns)
    place = f"{uri.encode(link.private_key)}@{uri.join_place(link.host, link.port)}"
    return f"wireguard://{place}/{uri.join_query(query)}{uri.join_name(link.name)}"


def parse(text: str) -> WireGuardLink:
    """Read a link; parameters that are not known are left out.

    Raises:
        Invalid: it is none.
    """
    parts = uri.split(text, _FORM)
    said = {key.lower(): value for key, value in parts.query.items()}
    return WireGuardLink(
        private_key=uri.decode(parts.userinfo, _FORM, "private key"),
        addresses=listed(said.get("address", "").split(",")),
        public_key=said.get("publickey", ""),
        host=parts.host,
        port=check_port(_FORM, parts.port),
        preshared_key=said.get("presharedkey", ""),
        allowed_ips=listed(said.get("allowedips", "").split(",")) or EVERYWHERE,
        keepalive=_number(_FORM, "keepalive", said.get("keepalive", "")),
        mtu=_number(_FORM, "mtu", said.get("mtu", "")),
        dns=listed(said.get("dns", "").split(",")),
        name=parts.name,
    )


def build_conf(link: WireGuardLink) -> str:
    """Write the configuration file. It has no place for the name: clients take that of the file."""
    interface = {
        "PrivateKey": link.private_key,
        "Address": ", ".join(link.addresses),
        "DNS": ", ".join(link.dns),
        "MTU": str(link.mtu or ""),
    }
    peer = {
        "PublicKey": link.public_key,
        "PresharedKey": link.preshared_key,
        "AllowedIPs": ", ".join(link.allowed_ips),
        "PersistentKeepalive": str(link.keepalive or ""),
        "Endpoint": uri.join_place(link.host, link.port),
    }
    return f"{_section('Interface', interface)}\n{_section('Peer', peer)}"


def parse_conf(text: str) -> WireGuardLink:
    """Read a configuration file with one peer; what is not known is left out.

    Raises:
        Invalid: it is none.
    """
    if len(text) > uri.LONGEST:
        raise _CONF.error(f"it is longer than {uri.LONGEST} characters")
    interface, peer = _sections(text)
    host, port = uri.split_place(peer.get("endpoint", ""), _CONF)
    return WireGuardLink(
        private_key=interface.get("privatekey", ""),
        addresses=listed(interface.get("address", "").split(",")),
        public_key=peer.get("publickey", ""),
        host=host,
        port=check_port(_CONF, port),
        preshared_key=peer.get("presharedkey", ""),
        allowed_ips=listed(peer.get("allowedips", "").split(",")) or EVERYWHERE,
        keepalive=_number(_CONF, "keepalive", peer.get("persistentkeepalive", "")),
        mtu=_number(_CONF, "mtu", interface.get("mtu", "")),
        dns=listed(interface.get("dns", "").split(",")),
    )


def _section(title: str, values: dict[str, str]) -> str:
    return "".join([f"[{title}]\n", *(f"{key} = {value}\n" for key, value in values.items() if value)])


def _sections(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Interface and peer, with keys in lower case; a key that may stand several times has commas."""
    sections: dict[str, dict[str, str]] = {}
    here: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if said.startswith("["):
            title = said.lower()
            if title not in ("[interface]", "[peer]") or title in sections:
                raise _conf_error(number, "there is one [Interface], and one [Peer]")
            here = sections[title] = {}
        elif said:
            key, equals, value = (part.strip() for part in said.partition("="))
            if here is None or not equals:
                raise _conf_error(number, "a line is KEY = VALUE, below [Interface] or [Peer]")
            key = key.lower()
            here[key] = f"{here[key]},{value}" if key in here else value
    if len(sections) != 2:
        raise _CONF.error("it lacks [Interface] or [Peer]")
    return sections["[interface]"], sections["[peer]"]


def _conf_error(number: int, why: str) -> Invalid:
    return _CONF.error(f"line {number}: {why}")


def _number(form: Form, what: str, text: str) -> int:
    if text in ("", "off"):
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise form.error(f"its {what} is no number")
    return int(text)
