import http.server
import json
import threading

import pytest

from vpn.api.client import PAGE, APIError, Client, Unreachable, over_tcp, over_unix


@pytest.fixture
def server():
    """A server that answers what a test tells it, and keeps what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            status, content = server.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers = [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server):
    return Client(over_tcp(f"{server.url}/prefix/", "token"))


def test_requests_carry_the_token_and_names_are_quoted(client, server):
    server.answers = [(200, b'{"name": "a"}'), (204, b"")]
    assert client.user("a/b ?\u00fc") == {"name": "a"}
    client.remove_user("x")
    assert server.asked == [
        ("GET", "/prefix/api/users/a%2Fb%20%3F%C3%BC", "Bearer token", b""),
        ("DELETE", "/prefix/api/users/x", "Bearer token", b""),
    ]


def test_all_pages_are_fetched(client, server):
    for number in (1, 2):
        server.answers.append((200, json.dumps({"data": [{"name": str(number)}], "total_pages": 2}).encode()))
    assert [user["name"] for user in client.users(search="x&y")] == ["1", "2"]
    assert server.asked[1][1] == f"/prefix/api/users?page=2&page_size={PAGE}&search=x%26y"


def test_a_password_is_sent_only_when_there_is_one(client, server):
    server.answers = [(201, b"{}"), (201, b"{}"), (200, b"{}")]
    client.add_user("a", None, "", True)
    client.add_user("a", "p", "", True)
    client.set_password("a", None)
    assert [json.loads(asked[3]).get("password") for asked in server.asked] == [None, "p", None]


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (404, b'{"code": "user_unknown", "message": "m", "hint": "h"}', "user_unknown"),
        (500, b"<html>", "unknown"),
        (200, b"<html>", "unknown"),
        (200, b"[1]", "unknown"),
        (307, b"", "unknown"),
    ],
)
def test_errors(client, server, status, content, code):
    server.answers = [(status, content)]
    with pytest.raises(APIError) as caught:
        client.status()
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", ""])
def test_what_is_no_server(url):
    with pytest.raises(Unreachable):
        over_tcp(url, "token")


def test_nobody_there(tmp_path):
    with pytest.raises(Unreachable, match="refused"):
        Client(over_tcp("http://127.0.0.1:1", "token")).status()
    with pytest.raises(FileNotFoundError):
        over_unix(tmp_path / "none")("GET", "/", b"")


def test_a_server_that_breaks_off(server):
    server.answers = [(200, b"{}")]
    transport = over_tcp(server.url, "token")
    server.RequestHandlerClass.do_GET = lambda self: self.connection.close()
    with pytest.raises(Unreachable):
        transport("GET", "/", b"")
