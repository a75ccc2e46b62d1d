"""A page with several resources, over HTTP or HTTPS, and what was asked for."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_IMAGE = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
_PAGE = b"""<!doctype html><title>page</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<p id="said"></p>
<script>function say(word) { document.getElementById("said").append(word + " ") }</script>
<script src="/first.js"></script><script src="/second.js"></script>
"""
_IMAGES = 8
RESOURCES: dict[str, tuple[str, bytes]] = {
    "/": (
        "text/html",
        _PAGE + b"".join(b'<img src="/%d.svg" onload="say(%d)">\n' % (each, each) for each in range(_IMAGES)),
    ),
    "/style.css": ("text/css", b"p { color: green }"),
    "/first.js": ("text/javascript", b"say('first')"),
    "/second.js": ("text/javascript", b"say('second')"),
} | {f"/{each}.svg": ("image/svg+xml", _IMAGE) for each in range(_IMAGES)}
WORDS = {"first", "second", *map(str, range(_IMAGES))}
"""What a browser that has everything lets the page say."""


@contextmanager
def page_server(certificates: Path | None = None) -> Iterator[tuple[int, list[str]]]:
    """Serve the page on loopback; yields the port, and the paths asked for, in order.

    Args:
        certificates: a directory for the certificate if it is to be HTTPS.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            kind, body = RESOURCES.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in RESOURCES else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, address: object) -> None:
            pass  # a browser opens connections to spare, and drops them

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(_certificate(certificates))
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join(5)


def _certificate(directory: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path
