"""The proxies that are compared: what each offers, and how it is started. ``PEERS`` is the table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.site import HOST, PASSWORD, USER, Site

VPN = str(Path(sys.executable).with_name("vpn"))
THOUSAND = 1000
EVERYTHING = frozenset({"socks5", "socks5-tls", "http", "http-tls", "udp"})


@dataclass(frozen=True)
class Command:
    """What starts a proxy."""

    arguments: list[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A proxy, one row of every table."""

    name: str
    program: str
    """Looked for on PATH; where it is missing, the peer is left out."""
    offers: frozenset[str]
    command: Callable[[Site], Command]
    """Writes the settings it needs into the site's directory."""
    version: tuple[str, ...] = ()
    """The command that prints its version."""
    note: str = ""
    prepare: Callable[[Site], None] | None = None
    """Done once, before the first start."""
    authenticates: bool = True
    ours: bool = False

    @property
    def found(self) -> bool:
        """Whether it can be run here."""
        return not self.program or shutil.which(self.program) is not None

    def version_line(self) -> str:
        """What it says of its version."""
        if not self.version or not shutil.which(self.version[0]):
            return ""
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        words = (done.stdout or done.stderr).partition("\n")[0].split()
        return next((word.strip("v.,") for word in words if word.strip("v")[:1].isdigit()), "")


def _nothing(_: Site) -> Command:
    raise NotImplementedError("no proxy is not started")


# Ours


def _vpn_env(site: Site) -> dict[str, str]:
    return {
        "VPN_DATA_DIR": str(site.directory / "data"),
        "VPN_API__LISTEN": f"{HOST}:0",
        "VPN_LOG__LEVEL": "error",
        "VPN_PROXY__PRIVATE_DESTINATIONS": "allow",
    }


def _run(site: Site, *arguments: str) -> None:
    subprocess.run([VPN, *arguments], env={**os.environ, **_vpn_env(site)}, check=True, stdout=subprocess.DEVNULL)


def _add_user(site: Site) -> None:
    _run(site, "users", "add", USER, "--password", PASSWORD)


def _add_limited_user(site: Site) -> None:
    """As in a service that is used in earnest: the user has limits and a quota, and a thousand rules count."""
    limits = ["--max-connections", "50000", "--connection-rate", "1000000", "--data-limit", "1000TB"]
    _run(site, "groups", "add", "staff", *limits, "--reset", "monthly", "--source", "127.0.0.0/8")
    _run(site, "users", "add", USER, "--password", PASSWORD, "--group", "staff")
    policy = site.directory / "policy.json"
    rules = list(_rules(THOUSAND))
    policy.write_text(json.dumps({"default": "block", "groups": {"staff": {"rules": rules}}}))
    _run(site, "policy", "apply", str(policy))


def _rules(count: int) -> Iterator[dict[str, object]]:
    """So many, of addresses, names and ports, the last of which allows what the benchmark does."""
    for number in range(count - 1):
        destinations = [
            [f"10.{number // 256}.{number % 256}.0/24"],
            [f"site{number}.example.com"],
            [f"**.region{number}.example.net"],
            [f"198.51.{number % 256}.{number // 256}", f".shop{number}.example.org"],
        ][number % 4]
        action = "block" if number % 3 else "allow"
        yield {"action": action, "destinations": destinations, "ports": [80, 443, "8000-8999"], "priority": number % 7}
    yield {"action": "allow", "destinations": ["127.0.0.0/8"]}


def _vpn(workers: int, **settings: str) -> Callable[[Site], Command]:
    def command(site: Site) -> Command:
        env = {**_vpn_env(site), "VPN_PROXY__WORKERS": str(workers), **settings}
        if not site.tls:
            return Command([VPN, "serve"], {**env, "VPN_PROXY__LISTEN": f"{HOST}:{site.port}"})
        inbound = {
            "protocol": "mixed",
            "listen": f"{HOST}:{site.port}",
            "tls": {"certificate": str(site.certificate), "key": str(site.key)},
        }
        config = site.directory / "vpn.yaml"  # JSON is YAML
        config.write_text(json.dumps({"proxy": {"inbounds": {"secure": inbound}}}))
        env["VPN_PROXY__LISTEN"] = f"{HOST}:{site.spare_port}"
        return Command([VPN, "--config", str(config), "serve"], env)

    return command


# Others


def _microsocks(site: Site) -> Command:
    return Command(["microsocks", "-i", HOST, "-p", str(site.port), "-u", USER, "-P", PASSWORD])


def _dante(site: Site) -> Command:
    config = site.directory / "danted.conf"
    config.write_text(
        f"logoutput: /dev/null\ninternal: {HOST} port = {site.port}\nexternal: {HOST}\n"
        "clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n"
        "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }\n"
        "socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 command: connect udpassociate }\n"
        "socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 command: udpreply }\n"
    )
    return Command(["danted", "-f", str(config), "-p", str(site.directory / "danted.pid")])


def _sing_box(site: Site) -> Command:
    inbound = {"type": "mixed", "listen": HOST, "listen_port": site.port}
    inbound |= {"users": [{"username": USER, "password": PASSWORD}]}
    if site.tls:
        files = {"certificate_path": str(site.certificate), "key_path": str(site.key)}
        inbound["tls"] = {"enabled": True, **files}
    config = site.directory / "sing-box.json"
    config.write_text(json.dumps({"log": {"level": "error"}, "inbounds": [inbound], "outbounds": [{"type": "direct"}]}))
    return Command(["sing-box", "run", "-c", str(config)])


def _xray(site: Site) -> Command:
    accounts = {"accounts": [{"user": USER, "pass": PASSWORD}]}
    socks = site.protocol == "socks5"
    inbound = {"listen": HOST, "port": site.port, "protocol": "socks" if socks else "http"}
    inbound["settings"] = {"auth": "password", "udp": True, "ip": HOST, **accounts} if socks else accounts
    if site.tls:
        files = {"certificateFile": str(site.certificate), "keyFile": str(site.key)}
        inbound["streamSettings"] = {"network": "tcp", "security": "tls", "tlsSettings": {"certificates": [files]}}
    config = site.directory / "xray.json"
    outbounds = [{"protocol": "freedom"}]
    config.write_text(json.dumps({"log": {"loglevel": "none"}, "inbounds": [inbound], "outbounds": outbounds}))
    return Command(["xray", "run", "-c", str(config)])


def _gost(site: Site) -> Command:
    auth = {"username": USER, "password": PASSWORD}
    handler = {"type": site.protocol, "auth": auth, "metadata": {"udp": True}}
    listener: dict[str, object] = {"type": "tls" if site.tls else "tcp"}
    if site.tls:
        listener["tls"] = {"certFile": str(site.certificate), "keyFile": str(site.key)}
    service = {"name": "bench", "addr": f"{HOST}:{site.port}", "handler": handler, "listener": listener}
    config = site.directory / "gost.json"
    config.write_text(json.dumps({"services": [service], "log": {"level": "fatal"}}))
    return Command(["gost", "-C", str(config)])


def _three_proxy(site: Site) -> Command:
    service = "socks" if site.protocol == "socks5" else "proxy"
    config = site.directory / "3proxy.cfg"
    config.write_text(
        f"nscache 65536\nmaxconn 10000\nusers {USER}:CL:{PASSWORD}\nauth strong\nallow {USER}\n"
        f"{service} -i{HOST} -p{site.port}\n"
    )
    return Command(["3proxy", str(config)])


OUR_VERSION = (VPN, "version")
UNOBSERVED = {"VPN_SESSIONS__ENABLED": "false", "VPN_METRICS__ENABLED": "false"}
RULES = f"{THOUSAND} rules, limits and a quota"
NO_PROXY = Peer("no proxy", "", frozenset({"socks5", "udp"}), _nothing, note="the ceiling of this load here")

DEBIAN_MICROSOCKS = ("dpkg-query", "--showformat", "${Version}", "--show", "microsocks")  # it does not say itself

PEERS = (
    NO_PROXY,
    Peer("vpn 1 worker", VPN, EVERYTHING, _vpn(1), OUR_VERSION, RULES, prepare=_add_limited_user, ours=True),
    Peer("vpn 2 workers", VPN, EVERYTHING, _vpn(2), OUR_VERSION, RULES, prepare=_add_limited_user, ours=True),
    Peer("vpn 2 workers, free", VPN, EVERYTHING, _vpn(2), OUR_VERSION, "no rules, no limits", _add_user, ours=True),
    Peer(
        "vpn 2 workers, unobserved",
        VPN,
        EVERYTHING,
        _vpn(2, **UNOBSERVED),
        OUR_VERSION,
        f"{RULES}; neither sessions nor metrics",
        prepare=_add_limited_user,
        ours=True,
    ),
    Peer("microsocks", "microsocks", frozenset({"socks5"}), _microsocks, DEBIAN_MICROSOCKS, "a thread per connection"),
    Peer(
        "Dante",
        "danted",
        frozenset({"socks5", "udp"}),
        _dante,
        ("danted", "-v"),
        "asks for no password, for its users are the system's",
        authenticates=False,
    ),
    Peer("sing-box", "sing-box", EVERYTHING, _sing_box, ("sing-box", "version")),
    Peer("Xray", "xray", EVERYTHING, _xray, ("xray", "version")),
    # The two below are configured as their documentation says, and have not been run yet.
    Peer("gost", "gost", EVERYTHING, _gost, ("gost", "-V")),
    Peer("3proxy", "3proxy", frozenset({"socks5", "http", "udp"}), _three_proxy, ("3proxy", "--version")),
)
