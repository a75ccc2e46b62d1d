import pytest
from pydantic import ValidationError

from vpn.settings.problems import problems_of
from vpn.settings.proxy import InboundSettings, UpstreamSettings

FILES = {"certificate": "/c.pem", "key": "/k.pem"}


def found(model, values):
    with pytest.raises(ValidationError) as refused:
        model.model_validate(values)
    return [(problem.message, problem.hint) for problem in problems_of(refused.value, model)]


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"listen": "here"}, "listen cannot be 'here'", "expected an address and port"),
        ({"lisen": "::1"}, "there is no setting lisen", "did you mean listen?"),
        ({"tls": FILES | {"kye": 1}}, "there is no setting tls.kye", "did you mean tls.key?"),
        ({"tls": {"key": "/k.pem"}}, "tls.certificate is needed", "say it as well"),
        ({"method": "aes128"}, "method cannot be 'aes128'", "did you mean aes-128-gcm?"),
        ({"method": "aes-128-gcm"}, "these settings do not fit together", "protocol shadowsocks, where there is"),
        ({"udp_address": "example.com"}, "udp_address cannot be 'example.com'", "expected an IP address"),
        ({"max_connections": -1}, "max_connections cannot be '-1'", "expected greater than or equal to 0"),
        ({"tls": "yes"}, "tls cannot be 'yes'", "expected keys and values of TLSSettings"),
        ({"open_to": "office"}, "open_to.0 cannot be 'office'", "expected"),
    ],
)
def test_what_is_wrong_with_an_inbound(values, message, hint):
    [(said, how)] = found(InboundSettings, values)
    assert said == message
    assert hint in how


def test_a_long_value_is_cut():
    [(said, _)] = found(InboundSettings, {"listen": "x" * 5000})
    assert len(said) < 120


def test_passwords_and_groups_of_settings_are_not_repeated():
    said = found(UpstreamSettings, {"address": "192.0.2.1:1", "password": "p" * 300, "protocol": {"secret": 1}})
    assert [message for message, _ in said] == ["protocol cannot be this value", "password cannot be this value"]
