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
    client.add_user("a", None, {"note": "n"})
    client.add_user("a", "p", {})
    client.set_password("a", None)
    assert [json.loads(asked[3]).get("password") for asked in server.asked] == [None, "p", None]


def test_what_is_not_asked_for_is_not_said(client, server):
    server.answers = [(200, b'{"data": [], "total_pages": 0}')] * 2
    assert list(client.users(search="", group="a b", enabled=False)) == []
    assert list(client.groups()) == []
    assert [asked[1] for asked in server.asked] == [
        f"/prefix/api/users?page=1&page_size={PAGE}&group=a+b&enabled=false",
        f"/prefix/api/groups?page=1&page_size={PAGE}",
    ]


def test_groups_and_bulk(client, server):
    server.answers = [(204, b""), (204, b""), (200, b'{"names": ["a"]}'), (200, b"{}"), (200, b'{"rows": []}')]
    client.remove_group("a/b", force=False)
    client.remove_group("a", force=True)
    assert client.change_users({"group": "g"}, {"note": ""}, dry_run=True) == ["a"]
    client.import_users([{"name": "a"}], "skip", dry_run=False)
    assert client.export_users("g", with_hashes=True) == []
    assert [asked[1].removeprefix("/prefix/api/") for asked in server.asked] == [
        "groups/a%2Fb",
        "groups/a?force=true",
        "users",
        "roster",
        "roster?group=g&with_hashes=true",
    ]
    assert json.loads(server.asked[3][3]) == {"rows": [{"name": "a"}], "on_conflict": "skip", "dry_run": False}


def test_statistics_are_asked_for_with_what_was_said(client, server):
    server.answers = [(200, b"{}")] * 3
    client.session_stats({"hours": 24, "top": 5})
    client.traffic({"since": "7d", "by": None, "user": "a b"})
    client.ranking("users", {"from": "2026-01-01", "limit": 3})
    assert [asked[1].removeprefix("/prefix/api/") for asked in server.asked] == [
        "sessions/stats?hours=24&top=5",
        "stats/traffic?since=7d&user=a+b",
        "stats/users?from=2026-01-01&limit=3",
    ]


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


def test_a_picture_is_what_came(client, server):
    server.answers = [(200, b"\x89PNG"), (422, b'{"code": "too_long", "message": "m", "hint": "h"}')]
    assert client.draw_qr_code("x", "png") == b"\x89PNG"
    with pytest.raises(APIError, match="m"):
        client.draw_qr_code("x" * 3000, "png")
    assert server.asked[0][:2] == ("POST", "/prefix/api/links/qr")
