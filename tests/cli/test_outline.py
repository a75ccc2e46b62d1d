import json


def test_the_line_is_alone_on_its_line(vpn):
    assert vpn("outline", "show").code != 0
    result = vpn("outline", "enable")
    assert result.code == 0, result
    *said, line = result.out.splitlines()
    assert sorted(json.loads(line)) == ["apiUrl", "certSha256"]
    assert said[0].startswith("The inbound outline was added: Shadowsocks with chacha20-ietf-poly1305 on 127.0.0.1:")
    assert "programs on other machines cannot reach it" in said[1]
    assert "Outline Manager" in said[-2]
    shown = vpn("outline", "show").out.splitlines()
    assert (shown[-1], shown[1]) == (line, "inbound  outline")
    assert json.loads(vpn("outline", "show", "--format", "json").out)["line"] == line


def test_moving_rotating_and_disabling(vpn):
    vpn("outline", "enable")
    first = vpn("outline", "show", "--format", "plain").out
    assert vpn("outline", "enable", "--method", "aes-256-gcm").code == 0
    assert "method\taes-256-gcm" in vpn("outline", "show", "--format", "plain").out
    url = next(line for line in first.splitlines() if line.startswith("api_url"))
    assert url not in vpn("outline", "rotate", "--format", "plain").out
    assert "not served any more" in vpn("outline", "disable").out
    assert "enable it: vpn outline enable" in vpn("outline", "show").err
    assert vpn("outline", "enable", "--inbound", "none").code == 4
    assert "did you mean aes-256-gcm" in vpn("outline", "enable", "--method", "aes-255-gcm").err
