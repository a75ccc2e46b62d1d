import socket
import threading

import pytest

from vpn.api.client import Unreachable
from vpn.api.local import over_unix


@pytest.fixture
def daemon(tmp_path):
    """A daemon that answers one request with what a test tells it; returns what it was asked."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "api.sock"))
        listener.listen()
        listener.settimeout(5)

        def ask(answer, *, body=b"{}"):
            asked = []

            def serve():
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                return over_unix(tmp_path / "api.sock")("POST", "/api/users?a=b", body), asked
            finally:
                thread.join(5)

        yield ask


def test_one_request_and_its_answer(daemon):
    answer, asked = daemon(b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n\r\n\r\n{...}")
    assert answer == (201, b"\r\n\r\n{...}")
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/users?a=b HTTP/1.0\r\n")
    assert b"\r\nContent-Length: 2" in head
    assert body == b"{}"


def test_an_answer_without_a_body(daemon):
    assert daemon(b"HTTP/1.1 204 No Content\r\n\r\n")[0] == (204, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_or_is_cut_short(daemon, answer):
    with pytest.raises(Unreachable, match="broke off"):
        daemon(answer)


def test_nobody_there(tmp_path):
    for path in (tmp_path / "none", tmp_path / ("x" * 200)):
        with pytest.raises(FileNotFoundError):
            over_unix(path)("GET", "/", b"")
