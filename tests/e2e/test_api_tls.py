"""The API in TLS: reached by the command line from elsewhere, and with a renewed certificate after a reload."""

import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import Authority
from tests.support.daemon import running_daemon, vpn


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def shown_certificate(url, authority):
    """What the API shows of itself, to who trusts this authority."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(authority.file))
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=10)
    connection.connect()
    try:
        return connection.sock.getpeercert(binary_form=True)
    finally:
        connection.close()


def test_the_command_line_and_a_renewed_certificate(tmp_path, data_dir, authority):
    files = authority.issue("api")
    settings = {"VPN_API__TLS__CERTIFICATE": str(files.certificate), "VPN_API__TLS__KEY": str(files.key)}
    with running_daemon(data_dir, **settings) as daemon:
        url = daemon.wait_for(r"API +(https://\S+)")[1]
        token = (data_dir / "api-token").read_text().strip()
        there = {"VPN_SERVER": url, "VPN_TOKEN": token, "SSL_CERT_FILE": str(authority.file)}
        shown = vpn(tmp_path / "elsewhere", "status", **there)
        assert (shown.code, "running" in shown.out or "version" in shown.out) == (0, True), shown
        refused = vpn(tmp_path / "elsewhere", "status", **there | {"SSL_CERT_FILE": "/dev/null"})
        assert refused.code != 0
        assert "certificate" in refused.err.lower(), refused
        before = shown_certificate(url, authority)
        authority.issue("api")
        assert shown_certificate(url, authority) == before, "it is read again when that is asked for"
        assert daemon.vpn("reload").code == 0
        renewed = shown_certificate(url, authority)
        assert renewed != before
        Path(files.key).write_text("nothing")
        assert daemon.vpn("reload").code == 0
        daemon.wait_for("certificate was not renewed", "err")
        assert shown_certificate(url, authority) == renewed
        assert daemon.vpn("monitor", "dashboards", "export", str(tmp_path / "monitor")).code == 0
        assert "\n    scheme: https\n" in (tmp_path / "monitor" / "prometheus.yml").read_text()


def test_who_starts_with_a_wrong_file_does_not_start(tmp_path, data_dir):
    files = {"VPN_API__TLS__CERTIFICATE": str(tmp_path / "none"), "VPN_API__TLS__KEY": str(tmp_path / "none")}
    result = vpn(data_dir, "serve", VPN_API__LISTEN="127.0.0.1:0", VPN_PROXY__LISTEN="127.0.0.1:0", **files)
    assert result.code == 3, result
    assert "TLS cannot be set up" in result.err
