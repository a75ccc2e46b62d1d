import json

import pytest

from vpn.api.client import PAGE, APIError, Client
from vpn.api.remote import over_tcp


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
