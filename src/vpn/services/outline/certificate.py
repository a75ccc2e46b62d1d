"""A certificate that nobody has to issue: who connects knows it by its digest."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from datetime import datetime, timedelta
from typing import NamedTuple

from vpn.domain.address import pack

_YEARS = timedelta(days=3652)


class Certificate(NamedTuple):
    """A certificate and its private key, both in PEM."""

    certificate: str
    key: str


def make_certificate(host: str, now: datetime) -> Certificate:
    """A self-signed certificate (EC P-256) for a host, good for ten years."""
    # Costs some megabytes, and is needed once.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    # The common name says nothing of what this is: anybody who connects sees it. The host stands beside it.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    known: x509.GeneralName = x509.DNSName(host) if pack(host) is None else x509.IPAddress(ipaddress.ip_address(host))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectAlternativeName([known]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(made.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


def fingerprint(certificate: str) -> str:
    """The SHA-256 of a certificate in PEM (of its DER), in upper-case hexadecimal, as Outline writes it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()


def server_context(own: Certificate) -> ssl.SSLContext:
    """The context for serving with a certificate. Its key never lies in a file on a disk."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)  # OpenSSL, as Python has it, reads files alone
    try:
        os.write(descriptor, (own.key + own.certificate).encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
