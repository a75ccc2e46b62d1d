"""TLS of the API's listener."""

from __future__ import annotations

import ssl

import structlog

from vpn.domain.errors import Invalid
from vpn.domain.inbound import TLS
from vpn.proxy.tls import server_context


class APICertificate:
    """The certificate that the API shows, and how to take over a renewed one without closing anything.

    Args:
        certificate: path of a PEM file of the certificate and those it was issued with.
        key: of its private key.

    Raises:
        Invalid: a file cannot be read, or does not hold what it should.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._files = TLS(certificate=certificate, key=key)
        self.context: ssl.SSLContext = server_context(self._files)

    def renew(self) -> None:
        """Show what the files hold now to whoever connects from now on; where it cannot be used, log that."""
        try:
            server_context(self._files)  # half of a pair must not get into the one that is in use
            self.context.load_cert_chain(self._files.certificate, self._files.key, password=lambda: "")
        except (Invalid, OSError) as error:
            structlog.get_logger("api").error("the API's certificate was not renewed", reason=str(error))
