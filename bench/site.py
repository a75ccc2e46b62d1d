"""Where one proxy runs for one measurement: its address, its credentials, its certificate, its directory."""

from __future__ import annotations

import datetime
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USER = "bench"
PASSWORD = "correct-horse"
FIRST_PORT = 20_000
"""Below the ports that clients are given, so that no connection of theirs can hold ours."""


@dataclass(frozen=True)
class Site:
    """What a peer needs to know to be started."""

    directory: Path
    """The peer's own; lives as long as the benchmark."""
    port: int
    spare_port: int
    service: str
    """What is wanted of it: socks5, socks5-tls, http, http-tls or udp."""
    certificate: Path
    key: Path

    @property
    def protocol(self) -> str:
        """socks5 or http."""
        return "http" if self.service.startswith("http") else "socks5"

    @property
    def tls(self) -> bool:
        """Whether clients speak TLS to the proxy."""
        return self.service.endswith("-tls")


def free_ports() -> Iterator[int]:
    """Ports that nobody listens on, one after the other, never the same twice."""
    for port in itertools.count(FIRST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        yield port


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a self-signed P-256 certificate for localhost and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = directory / "certificate.pem", directory / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.touch(mode=0o600)
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem
