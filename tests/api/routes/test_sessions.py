import csv
import io
import json

import pytest

from tests.support.sessions import START, make_session
from vpn.api import in_process
from vpn.domain.session import first_id, show_id
from vpn.proxy.control import Report
from vpn.store.sessions import Batch, SessionStore

pytestmark = pytest.mark.anyio
HISTORY = "/api/sessions/history"


def session(number, **fields):
    return make_session(first_id(START + number), started=START + number, ended=START + number + 2.5, **fields)


@pytest.fixture
async def stored(house):
    sessions = [
        session(1, user="bob", status="rejected_by_acl", rule="groups.staff.rules.0", reason="rule"),
        session(2, host="example.com", address="198.51.100.7", connect_time=0.0125, bytes_sent=10, bytes_received=20),
        session(3, host="=cmd()", user="-1", upstream="exit"),
    ]
    await SessionStore(house.database).write([Batch(1, 8, sessions)])
    return sessions


@pytest.fixture
def living(house):
    """A live session, as a worker tells of it."""
    one = make_session(first_id(START + 9), started=START + 9, status="active", ended=0.0, user="carol")
    house.live.hear(0, Report(0, 1, 0, 0, live=[one], moved=[]), [])
    return one


async def test_the_fields_of_a_session(call, stored):
    status, shown = await call("GET", f"/api/sessions/{show_id(stored[1].id)}")
    assert status == 200
    assert shown == {
        "id": show_id(stored[1].id),
        "user": "alice",
        "source_ip": "192.0.2.1",
        "source_port": 4711,
        "dest_ip": "198.51.100.7",
        "dest_port": 443,
        "destination": "example.com",
        "protocol": "socks5",
        "status": "closed",
        "acl_decision": "allow",
        "acl_rule": None,
        "reason": None,
        "bytes_sent": 10,
        "bytes_received": 20,
        "packets_sent": 0,
        "packets_received": 0,
        "start_time": "2026-09-21T14:13:22Z",
        "end_time": "2026-09-21T14:13:24.500000Z",
        "duration_seconds": 2.5,
        "inbound": "main",
        "engine": "embedded",
        "upstream": None,
        "server_name": None,
        "connect_ms": 12.5,
        "first_byte_ms": None,
    }
    _, refused = await call("GET", f"/api/sessions/{show_id(stored[0].id)}")
    assert (refused["acl_decision"], refused["acl_rule"], refused["reason"]) == (
        "block",
        "groups.staff.rules.0",
        "rule",
    )
    assert refused["dest_ip"] == "example.com"


async def test_a_page_of_the_old_kind(call, stored):
    status, page = await call("GET", f"{HISTORY}?page=2&page_size=2&sort_by=start_time&sort_dir=desc")
    assert status == 200
    assert [each["user"] for each in page.pop("data")] == ["bob"]
    assert page == {
        "total": 3,
        "total_is_exact": True,
        "page": 2,
        "page_size": 2,
        "total_pages": 2,
        "next_cursor": None,
    }


async def test_a_cursor_leads_through_all(call, stored):
    seen, cursor = [], ""
    while cursor is not None:
        _, page = await call("GET", f"{HISTORY}?page_size=2&sort_by=bytes_sent&cursor={cursor}")
        seen += [each["id"] for each in page["data"]]
        assert page["total"] == (None if cursor else 3)
        cursor = page["next_cursor"]
    assert seen == [show_id(stored[place].id) for place in (1, 2, 0)]


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ("user=bob", ["bob"]),
        ("dest_ip=198.51.100.7", ["alice"]),
        ("destination=198.51.100.0/24", ["alice"]),
        ("dest_ip=example.com", ["alice", "bob"]),
        ("status=rejected_by_acl", ["bob"]),
        ("inbound=web", []),
        ("search=EXAMPLE", ["alice", "bob"]),
        ("from=2026-09-21T14:13:23Z", ["-1"]),
        ("to=2026-09-21T14:13:23Z", ["alice", "bob"]),
        ("from=1h", []),
        ("to=1h", ["-1", "alice", "bob"]),
        ("hours=0.001", []),
        ("sort_by=bytes_received&sort_dir=desc&page_size=1", ["alice"]),
        ("unknown=1&user=bob", ["bob"]),
    ],
)
async def test_filters(call, stored, query, users):
    status, page = await call("GET", f"{HISTORY}?{query}")
    assert status == 200
    assert [each["user"] for each in page["data"]] == users


async def test_the_sessions_of_a_user(call, stored):
    assert [each["user"] for each in (await call("GET", "/api/users/bob/sessions"))[1]["data"]] == ["bob"]
    assert (await call("GET", "/api/users/bob/sessions?status=closed"))[1]["total"] == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sort_by=user", "bad_sort"),
        ("status=open", "bad_status"),
        ("page=300", "page_too_deep"),
        ("cursor=x", "bad_cursor"),
        ("page_size=1001", "bad_request"),
        ("from=yesterday", "bad_moment"),
        ("from=2026-09-21T14:13:23", "bad_moment"),
        ("destination=10.0.0.1/8", "bad_network"),
    ],
)
async def test_what_makes_no_sense_is_said(call, query, code):
    status, error = await call("GET", f"{HISTORY}?{query}")
    assert (status, error["code"]) == (422, code)


async def test_nobody_knows_the_session(call):
    assert (await call("GET", "/api/sessions/0000000000000001"))[0] == 404
    assert (await call("GET", "/api/sessions/x"))[1]["code"] == "bad_session_id"


async def test_live_sessions_are_in_the_history_and_found(house, call, stored, living):
    await SessionStore(house.database).checkpoint([living])
    page = (await call("GET", f"{HISTORY}?status=active"))[1]
    assert [(each["user"], each["end_time"], each["duration_seconds"]) for each in page["data"]] == [
        ("carol", None, None)
    ]
    living.bytes_sent = 77  # since it was stored
    assert (await call("GET", HISTORY))[1]["data"][0]["bytes_sent"] == 77
    assert (await call("GET", f"/api/sessions/{show_id(living.id)}"))[1]["bytes_sent"] == 77


async def test_an_export_is_a_table_without_formulas(app, stored):
    status, body = await in_process.call(app, "GET", "/api/sessions/export?search=cmd", b"")
    assert status == 200
    (row,) = csv.DictReader(io.StringIO(body.decode()))
    assert (row["destination"], row["user"], row["bytes_sent"], row["upstream"]) == ("'=cmd()", "'-1", "0", "exit")


async def test_an_export_in_lines_goes_on_behind_a_session(app, stored):
    async def export(query):
        status, body = await in_process.call(app, "GET", f"/api/sessions/export?format=jsonl&{query}", b"")
        assert status == 200
        return [json.loads(line)["user"] for line in body.splitlines()]

    assert await export("") == ["-1", "alice", "bob"]
    assert await export("limit=2") == ["-1", "alice"]
    assert await export(f"limit=2&after={show_id(stored[1].id)}") == ["bob"]
    assert await export(f"after={show_id(stored[0].id)}") == []


async def test_an_export_of_nothing_that_is_wrong_fails_at_once(call):
    assert (await call("GET", "/api/sessions/export?status=open"))[0] == 422
    assert (await call("GET", "/api/sessions/export?after=x"))[0] == 422
