import base64

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.shadowsocks import METHODS, check_key, client_password, make_key, make_secret, method_of, user_password

OLD = METHODS["aes-256-gcm"]
SHORT, LONG, CHACHA = (METHODS[f"2022-blake3-{name}"] for name in ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"))


def test_methods_are_found_by_name_and_by_another_name_that_clients_use():
    for name, method in METHODS.items():
        assert method_of(name.upper()) is method
    assert method_of("chacha20-poly1305").name == "chacha20-ietf-poly1305"
    assert [method.name for method in METHODS.values() if method.identified] == [SHORT.name, LONG.name]


@pytest.mark.parametrize(
    ("name", "near"), [("aes-256-cfb", "aes-256-gcm"), ("2022-blake3-aes-256", "2022-blake3-aes-256-gcm"), ("", "")]
)
def test_a_bad_method_is_named_with_what_there_is(name, near):
    with pytest.raises(Invalid) as refused:
        method_of(name)
    assert repr(name) in refused.value.message
    assert all(method in refused.value.hint for method in METHODS)
    assert (f"did you mean {near}?" in refused.value.hint) == bool(near)


@pytest.mark.parametrize("method", [SHORT, LONG, CHACHA])
def test_keys_have_the_right_length(method):
    key = make_key(method)
    assert check_key(method, key) == key
    assert len(base64.b64decode(key)) == method.key_size
    wrong = base64.b64encode(bytes(method.key_size - 1)).decode()
    with pytest.raises(Invalid, match=f"has {method.key_size} bytes, this one has {method.key_size - 1}"):
        check_key(method, wrong)
    with pytest.raises(Invalid, match="not base64"):
        check_key(method, "no key!")
    with pytest.raises(Invalid, match="not base64"):
        check_key(method, "kÿ")


def test_what_a_client_needs():
    secret = make_secret()
    assert len(secret) == 22
    assert client_password(OLD, "", secret) == secret
    assert client_password(CHACHA, "", secret) == user_password(CHACHA, secret)
    assert client_password(LONG, "SERVER", secret) == f"SERVER:{user_password(LONG, secret)}"


def test_a_key_is_made_of_a_secret_or_is_it():
    made = {user_password(method, "a secret") for method in (SHORT, LONG)}
    assert len(made) == 2
    assert user_password(LONG, "a secret") in made, "always the same"
    key = make_key(LONG)
    assert user_password(LONG, key) == key
    assert user_password(SHORT, key) != key
