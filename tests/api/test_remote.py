import pytest

from vpn.api.client import Client, Unreachable
from vpn.api.remote import over_tcp


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", ""])
def test_what_is_no_server(url):
    with pytest.raises(Unreachable):
        over_tcp(url, "token")


def test_nobody_there():
    with pytest.raises(Unreachable, match="refused"):
        Client(over_tcp("http://127.0.0.1:1", "token")).status()


def test_a_server_that_breaks_off(server):
    server.answers = [(200, b"{}")]
    transport = over_tcp(server.url, "token")
    server.RequestHandlerClass.do_GET = lambda self: self.connection.close()
    with pytest.raises(Unreachable):
        transport("GET", "/", b"")
