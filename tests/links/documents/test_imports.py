from vpn.links.documents.imports import import_links


def test_how_they_look():
    assert import_links("https://vpn.test/sub/x?a=b", "My VPN") == {
        "clash": "clash://install-config?url=https%3A%2F%2Fvpn.test%2Fsub%2Fx%3Fa%3Db&name=My%20VPN",
        "sing-box": "sing-box://import-remote-profile?url=https%3A%2F%2Fvpn.test%2Fsub%2Fx%3Fa%3Db#My%20VPN",
        "hiddify": "hiddify://import/https://vpn.test/sub/x?a=b#My%20VPN",
    }
