import ipaddress
import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from vpn.services.outline.certificate import fingerprint, make_certificate, server_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("vpn.example.org", x509.DNSName("vpn.example.org")),
        ("192.0.2.1", x509.IPAddress(ipaddress.ip_address("192.0.2.1"))),
        ("2001:db8::1", x509.IPAddress(ipaddress.ip_address("2001:db8::1"))),
    ],
)
def test_what_is_in_it(host, name):
    made = x509.load_pem_x509_certificate(make_certificate(host, NOW).certificate.encode())
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [name]
    assert isinstance(made.public_key().curve, ec.SECP256R1)
    assert made.not_valid_after_utc - NOW > timedelta(days=3650)
    assert made.not_valid_before_utc < NOW
    assert "vpn" not in made.subject.rfc4514_string(), "it does not say what it is for"


def test_its_fingerprint_is_as_outline_writes_it():
    own = make_certificate("localhost", NOW)
    expected = x509.load_pem_x509_certificate(own.certificate.encode()).fingerprint(hashes.SHA256())
    assert fingerprint(own.certificate) == expected.hex().upper()


def test_a_context_is_made_without_a_file():
    own = make_certificate("localhost", NOW)
    before = len(os.listdir("/proc/self/fd"))
    server_context(own)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        server_context(own._replace(key=make_certificate("localhost", NOW).key))
