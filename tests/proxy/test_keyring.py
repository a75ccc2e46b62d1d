import pytest

from tests.support.shadowsocks import users
from tests.support.shadowsocks_client import IDENTIFIED, METHODS, OLD, keys_of
from vpn.domain.shadowsocks import METHODS as KNOWN
from vpn.domain.shadowsocks import user_password
from vpn.proxy import keyring
from vpn.proxy.control import DISABLED, SnapshotUser
from vpn.proxy.credentials import Credentials
from vpn.proxy.keyring import Keyring


@pytest.fixture
def credentials():
    credentials = Credentials(pytest.fail, pytest.fail)
    credentials.replace_users(users("Alice", "bob"))
    return credentials


@pytest.mark.parametrize("name", METHODS)
def test_each_user_has_the_key_that_the_client_makes_of_the_password(name, credentials):
    ring = Keyring(KNOWN[name], credentials)
    key = ring.of("alice")
    assert key is not None
    assert key.user == "Alice"
    assert key.key == keys_of(name, user_password(KNOWN[name], "secret of Alice"))[0]
    assert [each.user for each in ring.all()] == ["Alice", "bob"]


@pytest.mark.parametrize("name", IDENTIFIED)
def test_keys_are_found_by_their_names(name, credentials):
    ring = Keyring(KNOWN[name], credentials)
    key = ring.of("bob")
    assert ring.named(keyring.key_name(key.key)) is key
    assert ring.named(bytes(16)) is None


def test_the_disabled_and_those_without_a_secret_have_none_and_the_blocked_have(credentials):
    known = [*users(bob=DISABLED, carol="over_quota"), SnapshotUser("dave", 1)]
    credentials.replace_users(known)
    assert [each.user for each in Keyring(KNOWN[OLD[0]], credentials).all()] == ["carol"]


@pytest.mark.parametrize("name", [OLD[0], IDENTIFIED[0]])
def test_keys_are_kept_while_their_secrets_are_the_same(name, credentials, monkeypatch):
    ring = Keyring(KNOWN[name], credentials)
    before = {each.user: each for each in ring.all()}
    named = keyring.key_name(before["bob"].key)
    made = []
    whole = keyring.master_key
    monkeypatch.setattr(keyring, "master_key", lambda *given: made.append(given[1]) or whole(*given))
    credentials.replace_users([SnapshotUser("Alice", 1, shadowsocks="another"), *users("bob", "carol")])
    after = {each.user: each for each in ring.all()}
    assert after["bob"] is before["bob"]
    assert after["Alice"] is not before["Alice"]
    assert set(after) == {"Alice", "bob", "carol"}
    if name in IDENTIFIED:
        assert ring.named(named) is before["bob"]
        assert len(made) == 2
    else:
        assert made == []  # nobody has needed them yet
    credentials.replace_users(users("carol"))
    assert ring.of("bob") is None
    assert ring.named(named) is None


def test_while_nothing_changes_the_same_list_is_given(credentials):
    ring = Keyring(KNOWN[OLD[0]], credentials)
    assert ring.all() is ring.all()
