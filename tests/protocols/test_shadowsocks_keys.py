import base64
import hmac

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shadowsocks_client import IDENTIFIED, NEW, OLD, ShadowsocksClient
from vpn.domain.shadowsocks import METHODS
from vpn.protocols.shadowsocks_keys import key_name, master_key, named_in, session_key

# Known values of other implementations.
BYTES_TO_KEY = {
    "password": "5f4dcc3b5aa765d61d8327deb882cf992b95990a9151374abd8ff8c5a7a0fe08",
    "123中1文da18测)试abc!#$@(": "8c5ea5e7ade3b3133a479e6aff0506dd7952bf75984a26722070cd9e44a09353",
}


@pytest.mark.parametrize(("password", "key"), BYTES_TO_KEY.items())
def test_passwords_of_the_older_methods(password, key):
    assert master_key(METHODS["aes-256-gcm"], password).hex() == key
    assert master_key(METHODS["aes-128-gcm"], password).hex() == key[:32]


def test_session_keys_of_2022():
    key = base64.b64decode("Lc3tTx0BY6ZJ/fCwOx3JvF0I/anhwJBO5p2+FA5Vce4=")
    salt = base64.b64decode("3oFO0VyLyGI4nFN0M9P+62vPND/L6v8IingaPJWTbJA=")
    subkey = session_key(METHODS["2022-blake3-aes-256-gcm"], key, salt)
    assert base64.b64encode(subkey) == b"EdNE+4U8dVnHT0+poAFDK2bdlwfrHT61sUNr9WYPh+E="


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.sampled_from(OLD))
def test_session_keys_of_the_older_methods_are_hkdf_of_rfc_5869(key, salt, name):
    method = METHODS[name]
    key, salt = key[: method.key_size], salt[: method.key_size]
    extracted = hmac.digest(salt, key, "sha1")
    first = hmac.digest(extracted, b"ss-subkey\x01", "sha1")
    second = hmac.digest(extracted, first + b"ss-subkey\x02", "sha1")
    assert session_key(method, key, salt) == (first + second)[: method.key_size]


@pytest.mark.parametrize("name", NEW)
def test_a_password_of_2022_is_a_key(name):
    raw = bytes(range(METHODS[name].key_size))
    assert master_key(METHODS[name], base64.b64encode(raw).decode()) == raw
    with pytest.raises(ValueError, match="base64"):
        master_key(METHODS[name], "not-base64!")


@pytest.mark.parametrize("name", IDENTIFIED)
def test_identity_headers_name_the_users_key(name):
    method = METHODS[name]
    inbound, user = b"i" * method.key_size, b"u" * method.key_size
    client = ShadowsocksClient(name, f"{base64.b64encode(inbound).decode()}:{base64.b64encode(user).decode()}")
    assert named_in(method, inbound, client.salt, client.identity()) == key_name(user) == blake3(user).digest(16)
    assert named_in(method, user, client.salt, client.identity()) != key_name(user)
