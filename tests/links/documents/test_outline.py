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
    assert outline.write_line(several) == ("ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNToxZTM@a.test:8388/?outline=1#old")


def test_where_there_is_none_it_is_told_why(nodes):
    for write in (outline.write_json, outline.write_line):
        error = json.loads(write([nodes["new"]]))["error"]
        assert "no server" in error["message"]
        assert error["details"]


def test_an_error():
    assert json.loads(outline.write_error("Ihr Zugang ist abgelaufen — “schade”", "seit gestern")) == {
        "error": {"message": "Ihr Zugang ist abgelaufen — “schade”", "details": "seit gestern"}
    }
    assert json.loads(outline.write_error("x")) == {"error": {"message": "x"}}
