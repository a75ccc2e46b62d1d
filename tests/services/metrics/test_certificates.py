import os

from cryptography import x509

from tests.support.certificates import Authority
from vpn.domain.address import Endpoint
from vpn.domain.inbound import TLS, Inbound
from vpn.services.metrics.certificates import Certificates


def inbound(name, files=None):
    tls = TLS(certificate=str(files.certificate), key=str(files.key)) if files else None
    return Inbound(name, "mixed", Endpoint("127.0.0.1", 1080), tls=tls)


def end_of(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()


def test_ends_are_told_by_inbound(tmp_path):
    files = Authority(tmp_path).issue("localhost")
    found = Certificates().expiries([inbound("plain"), inbound("tls", files), inbound("again", files)])
    assert found == {"tls": end_of(files.certificate), "again": end_of(files.certificate)}


def test_a_file_is_read_anew_when_it_has_changed(tmp_path):
    files = Authority(tmp_path).issue("localhost")
    certificates = Certificates()
    before = certificates.expiries([inbound("tls", files)])
    stamp = files.certificate.stat()
    text = files.certificate.read_bytes()
    files.certificate.write_bytes(b"nonsense")
    os.utime(files.certificate, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert certificates.expiries([inbound("tls", files)]) == before, "it looks as it did"
    files.certificate.write_bytes(b"nonsense")
    os.utime(files.certificate, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert certificates.expiries([inbound("tls", files)]) == {}
    files.certificate.write_bytes(text)
    os.utime(files.certificate, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 2))
    assert certificates.expiries([inbound("tls", files)]) == before
    files.certificate.unlink()
    assert certificates.expiries([inbound("tls", files)]) == {}
