"""Outline's management API, in the order of its published description, by a client that pins the certificate."""

import base64
import http.client
import json
import re
import socket
import ssl
from urllib.parse import quote, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.daemon import running_daemon, vpn
from tests.support.outline import Outline
from tests.support.waiting import until
from vpn.services.sockets import free_port

METHOD = "chacha20-ietf-poly1305"


def enable(daemon, *arguments):
    result = daemon.vpn("outline", "enable", *arguments)
    assert result.code == 0, result
    return Outline(result.out.splitlines()[-1])


@pytest.fixture(scope="module")
def outline(daemon):
    return enable(daemon)


@pytest.fixture
def key(outline):
    made = outline.add()
    yield made
    outline.call("DELETE", f"/access-keys/{made['id']}")


def test_what_is_printed(daemon, outline):
    again = daemon.vpn("outline", "enable")
    assert Outline(again.out.splitlines()[-1]).url == outline.url
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+/[A-Za-z0-9_-]{32}", outline.url)
    assert re.fullmatch("[0-9A-F]{64}", outline.certificate)
    assert "programs on other machines cannot reach it" in again.out
    shown = json.loads(daemon.vpn("outline", "show", "--format", "json").out)
    assert (shown["api_url"], shown["cert_sha256"], shown["method"]) == (outline.url, outline.certificate, METHOD)
    assert shown["problem"] == ""


def test_the_server(outline):
    server = outline.get("/server")
    assert list(server) == [
        "name",
        "serverId",
        "metricsEnabled",
        "createdTimestampMs",
        "version",
        "portForNewAccessKeys",
        "hostnameForAccessKeys",
    ]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", server["serverId"])
    assert server["metricsEnabled"] is False
    assert server["createdTimestampMs"] > 1_700_000_000_000
    assert server["hostnameForAccessKeys"] == "127.0.0.1"


def test_the_host_of_access_keys(daemon, outline, key):
    path = "/server/hostname-for-access-keys"
    for wrong in ({"hostname": "-not a host-"}, {"hostname": ""}, {}, {"hostname": 5}, {"hostname": "a:1"}):
        answer = outline.call("PUT", path, wrong)
        assert (answer.status, sorted(answer.content)) == (400, ["code", "message"]), wrong
    for host, written in (("vpn.example.org", "vpn.example.org"), ("2001:db8::1", "[2001:db8::1]")):
        assert outline.call("PUT", path, {"hostname": host}) == (204, None)
        assert outline.get("/server")["hostnameForAccessKeys"] == host
        assert f"@{written}:" in outline.get(f"/access-keys/{key['id']}")["accessUrl"]
    assert outline.call("PUT", path, {"hostname": "127.0.0.1"}).status == 204
    assert outline.all()[key["id"]] == key


def test_the_port_of_new_access_keys(outline, key):
    path = "/server/port-for-new-access-keys"
    usual = outline.get("/server")["portForNewAccessKeys"]
    for wrong in ({"port": 0}, {"port": 65536}, {"port": "443"}, {"port": 1.5}, {"port": None}, {"port": True}, {}):
        assert outline.call("PUT", path, wrong).status == 400, wrong
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = outline.call("PUT", path, {"port": other.getsockname()[1]})
        assert (answer.status, answer.content["code"]) == (409, "ConflictError")
    port = free_port("127.0.0.1")
    for _ in range(2):  # it may be one that has access keys already
        assert outline.call("PUT", path, {"port": port}).status == 204
    assert outline.get("/server")["portForNewAccessKeys"] == port
    made = outline.add()
    assert made["port"] == port
    assert outline.all()[key["id"]]["port"] == usual, "older keys stay as they are"
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert outline.call("PUT", path, {"port": usual}).status == 204
    assert outline.all()[made["id"]]["port"] == port
    assert outline.call("DELETE", f"/access-keys/{made['id']}").status == 204


@pytest.mark.parametrize("path", ["/server/access-key-data-limit", "/experimental/access-key-data-limit"])
def test_the_limit_of_all(daemon, outline, path):
    for wrong in ({"limit": {"bytes": -1}}, {"limit": {"bytes": "5"}}, {"limit": {}}, {"bytes": 5}, {"limit": None}):
        assert outline.call("PUT", path, wrong).status == 400, wrong
    assert outline.call("PUT", path, {"limit": {"bytes": 10000}}) == (204, None)
    assert outline.get("/server")["accessKeyDataLimit"] == {"bytes": 10000}
    everyone = json.loads(daemon.vpn("groups", "show", "everyone", "--format", "json").out)
    assert everyone["limits"] == {"data_limit": 10000, "reset": "rolling"}
    for _ in range(2):
        assert outline.call("DELETE", path) == (204, None)
    assert "accessKeyDataLimit" not in outline.get("/server")
    everyone = json.loads(daemon.vpn("groups", "show", "everyone", "--format", "json").out)
    assert everyone["limits"] == {}


def test_the_name_of_the_server(outline):
    assert outline.call("PUT", "/name", {"name": "Ünser Sérver 🦊"}) == (204, None)
    assert outline.get("/server")["name"] == "Ünser Sérver 🦊"
    for wrong in ({"name": "x" * 101}, {"name": ""}, {}, {"name": 7}):
        assert outline.call("PUT", "/name", wrong).status == 400, wrong


def test_adding_access_keys(outline):
    made = outline.add()
    assert list(made) == ["id", "name", "password", "port", "method", "accessUrl"]
    assert (made["name"], made["method"]) == ("", METHOD)
    userinfo = base64.urlsafe_b64encode(f"{METHOD}:{made['password']}".encode()).decode().rstrip("=")
    assert made["accessUrl"] == f"ss://{userinfo}@127.0.0.1:{made['port']}/?outline=1"
    assert outline.get(f"/access-keys/{made['id']}") == made
    said = {"name": "Ana's ☎", "password": "8iu8V8EeoFVpwQvQeS9wiD", "limit": {"bytes": 10000}}
    other = outline.add(**said)
    assert (other["name"], other["password"], other["dataLimit"]) == (said["name"], said["password"], said["limit"])
    assert outline.all()[other["id"]] == other
    assert other["id"] != made["id"]
    for one in (made, other):
        assert outline.call("DELETE", f"/access-keys/{one['id']}").status == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "rc4-md5"},
        {"method": "aes-192-gcm"},
        {"method": "2022-blake3-aes-128-gcm"},
        {"password": ""},
        {"password": "short"},
        {"password": 7},
        {"port": 0},
        {"port": "x"},
        {"limit": {"bytes": -1}},
        {"name": "two\nlines"},
        {"name": "x" * 600},
        [],
        "key",
    ],
)
def test_access_keys_that_cannot_be(outline, wrong):
    before = outline.all()
    answer = outline.call("POST", "/access-keys", wrong)
    assert (answer.status, sorted(answer.content)) == (400, ["code", "message"])
    assert outline.all() == before


def test_a_method_of_its_own_has_a_port_of_its_own(outline, key):
    made = outline.add(method="aes-256-gcm")
    assert (made["method"], made["port"] != key["port"]) == ("aes-256-gcm", True)
    again = outline.add(method="aes-256-gcm")
    assert again["port"] == made["port"]
    answer = outline.call("POST", "/access-keys", {"method": "aes-128-gcm", "port": made["port"]})
    assert (answer.status, "speaks aes-256-gcm" in answer.content["message"]) == (409, True)
    for one in (made, again):
        assert outline.call("DELETE", f"/access-keys/{one['id']}").status == 204


def test_no_two_keys_have_one_password(outline, key):
    before = outline.all()
    answer = outline.call("POST", "/access-keys", {"password": key["password"]})
    assert (answer.status, answer.content["code"]) == (409, "ConflictError")
    assert key["password"] not in answer.content["message"]
    assert outline.all() == before, "nothing is left of it"


def test_an_access_key_with_a_chosen_id(daemon, outline):
    made = outline.call("PUT", "/access-keys/my-identifier", {"name": "First"})
    assert (made.status, made.content["id"], made.content["name"]) == (201, "my-identifier", "First")
    assert outline.call("PUT", "/access-keys/my-identifier").status == 409
    assert outline.get("/access-keys/my-identifier") == made.content
    assert "First" in daemon.vpn("users", "show", "my-identifier").out, "its user is found by it, too"
    number = str(max(int(id) for id in outline.all() if id.isdigit()) + 3)
    chosen = outline.call("PUT", f"/access-keys/{number}").content
    others = [outline.add() for _ in range(4)]
    identifiers = {key["id"] for key in (chosen, *others)}
    assert len(identifiers) == 5
    assert number in identifiers
    for id in (*identifiers, "my-identifier"):
        assert outline.call("DELETE", f"/access-keys/{id}").status == 204
    assert outline.call("PUT", "/access-keys/" + "x" * 65).status == 400


def test_removing_an_access_key(outline):
    made = outline.add()
    path = f"/access-keys/{made['id']}"
    assert outline.call("DELETE", path) == (204, None)
    assert made["id"] not in outline.all()
    for method, where in (("DELETE", path), ("GET", path), ("PUT", f"{path}/name"), ("PUT", f"{path}/data-limit")):
        body = {"name": "x", "limit": {"bytes": 1}} if method == "PUT" else None
        answer = outline.call(method, where, body)
        assert (answer.status, answer.content["code"]) == (404, "NotFoundError"), where
        assert made["id"] in answer.content["message"]
    assert outline.call("DELETE", f"{path}/data-limit").status == 404


def test_renaming_an_access_key(daemon, outline, key):
    path = f"/access-keys/{key['id']}/name"
    name = "名前 🦄 \u202eright to left 'quoted' <b>"
    assert outline.call("PUT", path, {"name": name}) == (204, None)
    assert outline.all()[key["id"]] == key | {"name": name}
    assert name in json.loads(daemon.vpn("users", "show", f"key-{key['id']}", "--format", "json").out)["note"]
    for wrong in ({}, {"name": ""}, {"name": None}, {"name": ["x"]}):
        assert outline.call("PUT", path, wrong).status == 400, wrong
    assert outline.call("PUT", path, {"name": "again"}).status == 204


def test_the_limit_of_an_access_key(daemon, outline, key):
    path = f"/access-keys/{key['id']}/data-limit"
    for size in (10_000, 0, 8_589_934_592):
        assert outline.call("PUT", path, {"limit": {"bytes": size}}) == (204, None)
        assert outline.all()[key["id"]]["dataLimit"] == {"bytes": size}
    user = json.loads(daemon.vpn("users", "show", f"key-{key['id']}", "--format", "json").out)
    assert user["limits"] == {"data_limit": 8_589_934_592, "reset": "rolling"}
    assert outline.call("DELETE", path) == (204, None)
    assert outline.all()[key["id"]] == key


def test_metrics(outline, key):
    assert outline.get("/metrics/transfer") == {"bytesTransferredByUserId": {}}
    for state in (True, False):
        assert outline.call("PUT", "/metrics/enabled", {"metricsEnabled": state}) == (204, None)
        assert outline.get("/metrics/enabled") == {"metricsEnabled": state}
        assert outline.get("/server")["metricsEnabled"] is state
    for wrong in ({}, {"metricsEnabled": "yes"}, {"metricsEnabled": 1}):
        assert outline.call("PUT", "/metrics/enabled", wrong).status == 400, wrong
    metrics = outline.get("/experimental/server/metrics?since=30d")
    assert sorted(metrics["server"]) == ["bandwidth", "dataTransferred", "locations", "tunnelTime"]
    assert key["id"] in {each["accessKeyId"] for each in metrics["accessKeys"]}
    assert outline.call("GET", "/experimental/server/metrics?since=soon").status == 400


def test_users_of_ours_are_keys_and_the_other_way_round(daemon, outline):
    """The daemon of the tests has a user alice."""
    [alice] = [key for key in outline.all().values() if key["name"] == "alice"]
    assert outline.call("PUT", f"/access-keys/{alice['id']}/name", {"name": "Alice's"}).status == 204
    assert outline.all()[alice["id"]]["name"] == "Alice's"
    assert daemon.vpn("users", "edit", "alice", "--name", "alicia", "--note", "hers").code == 0
    assert outline.all()[alice["id"]] == alice | {"name": "Alice's"}
    made = outline.add(name="Bob")
    assert daemon.vpn("users", "edit", f"key-{made['id']}", "--note", "Bob and Ann").code == 0
    assert outline.all()[made["id"]] == made | {"name": "Bob and Ann"}
    assert daemon.vpn("users", "remove", f"key-{made['id']}").code == 0
    assert made["id"] not in outline.all()
    assert daemon.vpn("users", "edit", "alicia", "--name", "alice").code == 0


def test_what_bots_send(outline):
    """outline-vpn-api for Python: a slash at the end, forms in several parts; curl: JSON that is called a form."""
    made = outline.call("POST", "/access-keys/").content
    assert made["id"] in {key["id"] for key in outline.call("GET", "/access-keys/").content["accessKeys"]}
    path = f"/access-keys/{made['id']}"
    form = '--abc\r\nContent-Disposition: form-data; name="name"\r\n\r\nDer Näme\r\n--abc--\r\n'
    for content, kind, name in (
        (form, "multipart/form-data; boundary=abc", "Der Näme"),
        ("name=a%20b+c", "application/x-www-form-urlencoded", "a b c"),
        ('{"name": "curl"}', "application/x-www-form-urlencoded", "curl"),
        ('{"name": "plain"}', "text/plain", "plain"),
    ):
        assert outline.call("PUT", f"{path}/name", content=content, kind=kind).status == 204, kind
        assert outline.get(path)["name"] == name
    for content, kind in ((form[:30], "multipart/form-data"), ("{", "application/json"), ("\x00", "text/plain")):
        assert outline.call("PUT", f"{path}/name", content=content, kind=kind).status == 400, kind
    assert outline.call("DELETE", path).status == 204


def test_nothing_is_told_to_who_does_not_know_the_path(outline):
    answers = []
    for path in ("/", "/server", "/access-keys", "/openapi.json", outline.secret[:-1] + "/server", "/%C3%A9/server"):
        connection = outline.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        names = sorted(name.lower() for name, _ in answer.getheaders())
        answers.append((answer.status, names, answer.read()))
        connection.close()
    assert answers == [(404, ["content-length", "date"], b"")] * len(answers)
    parts = urlsplit(outline.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.recv(1000)[:4] != b"HTTP"
    context = ssl._create_unverified_context()
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock, context.wrap_socket(sock) as tls:
        tls.sendall(b"what is this?\r\n\r\n")
        assert tls.recv(1000).endswith(b"\r\n\r\n"), "no body"


def test_requests_are_bounded(outline):
    answer = outline.call("POST", "/access-keys", content=json.dumps({"name": "x" * 70_000}))
    assert (answer.status, answer.content["code"]) == (413, "PayloadTooLargeError")
    assert outline.call("PATCH", "/server").status == 405
    assert outline.call("GET", "/nothing").content["code"] == "ResourceNotFoundError"


def test_answers_are_as_its_own_openapi_document_says(outline, tmp_path):
    place = urlsplit(outline.url)
    trusted = tmp_path / "outline.pem"
    trusted.write_text(ssl.get_server_certificate((place.hostname, place.port)))
    document = outline.get("/openapi.json")
    assert all("422" not in each["responses"] for path in document["paths"].values() for each in path.values())
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 20
    for operation in operations:

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case):
            # That an id, a password or a port is taken, no schema can say.
            case.call_and_validate(
                base_url=outline.url, verify=str(trusted), excluded_checks=[positive_data_acceptance]
            )

        check()
    for id in outline.all():
        assert outline.call("DELETE", f"/access-keys/{quote(id, safe='')}").status == 204


def test_it_goes_on_after_a_restart_is_moved_rotated_and_disabled(data_dir):
    with running_daemon(data_dir) as daemon:
        assert "vpn outline enable" in daemon.vpn("outline", "show").err
        first = enable(daemon)
        key = first.add(name="kept")
    with running_daemon(data_dir) as daemon:
        assert first.all()[key["id"]] == key
        server = first.get("/server")
        assert daemon.vpn("outline", "rotate").code == 0
        assert first.raw("GET", f"{first.secret}/server").status == 404
        second = Outline(daemon.vpn("outline", "show").out.splitlines()[-1])
        assert second.certificate == first.certificate
        assert second.get("/server") == server
        port = urlsplit(second.url).port
        moved = enable(daemon, "--listen", f"0.0.0.0:{port}")
        assert (moved.secret, moved.certificate) == (second.secret, second.certificate)
        assert moved.get("/server") == server
        with socket.create_server(("127.0.0.1", 0)) as other:
            refused = daemon.vpn("outline", "enable", "--listen", f"127.0.0.1:{other.getsockname()[1]}")
            assert "cannot listen on" in refused.err
        assert moved.get("/server") == server, "it stays where it was"
        assert daemon.vpn("outline", "disable").code == 0
        with pytest.raises((ConnectionRefusedError, http.client.HTTPException)):
            moved.get("/server")
        assert daemon.vpn("outline", "disable").code != 0
        assert enable(daemon).url.endswith(second.secret)
        assert second.secret.strip("/") not in daemon.err
        assert key["password"] not in daemon.err


def test_without_a_daemon_it_is_enabled_for_the_next_one(data_dir):
    port = free_port("127.0.0.1")
    outline = Outline(vpn(data_dir, "outline", "enable", "--port", str(port)).out.splitlines()[-1])
    with running_daemon(data_dir) as daemon:
        assert outline.get("/server")["portForNewAccessKeys"] == port
        assert daemon.vpn("outline", "enable", "--method", "aes-128-gcm").code == 0
        assert outline.add()["method"] == "aes-128-gcm"
        for wrong in (("--inbound", "main"), ("--inbound", "none"), ("--method", "rc4"), ("--listen", "x")):
            assert daemon.vpn("outline", "enable", *wrong).code != 0, wrong


def test_an_address_that_is_taken_at_the_start_is_shown(data_dir):
    with running_daemon(data_dir) as daemon:
        outline = enable(daemon)
    parts = urlsplit(outline.url)
    with socket.create_server((parts.hostname, parts.port)) as other, running_daemon(data_dir) as daemon:
        shown = daemon.vpn("outline", "show")
        assert "It is not served: cannot listen on" in shown.out
        assert "the Outline API is not served" in daemon.err
        other.close()
        until(lambda: "not served" not in daemon.vpn("outline", "show").out)
        assert enable(daemon).url == outline.url
        assert outline.get("/server")["version"]
