import json

from vpn.links.documents import outline


def test_the_first_server_that_outline_can_use(nodes):
    several = [nodes[name] for name in ("socks", "new", "obfs", "old")]
    assert json.loads(outline.write_json(several)) == {
        "server": "a.test",
        "server_port": 8388,
        "password": "1e3",
        "method": "chacha20-ietf-poly1305",
    }


def test_where_there_is_none_it_is_told_why(nodes):
    error = json.loads(outline.write_json([nodes["new"]]))["error"]
    assert "no server" in error["message"]
    assert error["details"]


def test_an_error():
    assert json.loads(outline.write_error("Ihr Zugang ist abgelaufen — “schade”", "seit gestern")) == {
        "error": {"message": "Ihr Zugang ist abgelaufen — “schade”", "details": "seit gestern"}
    }
    assert json.loads(outline.write_error("x")) == {"error": {"message": "x"}}
