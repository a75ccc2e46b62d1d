import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.user import (
    canonical,
    check_name,
    check_note,
    check_password,
    make_credential,
    make_password,
)


@pytest.mark.parametrize("name", ["a", "alice", "Bob.Smith+vpn@example.com", "_svc", "x" * 64, "0"])
def test_good_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a:b", "a/b", "a\n", "\u00e4", "x" * 65, "a\0", "@a"])
def test_bad_names(name):
    with pytest.raises(Invalid) as caught:
        check_name(name)
    assert caught.value.code == "bad_name"
    assert caught.value.hint


@given(st.text())
def test_a_good_name_needs_no_quoting_anywhere(name):
    try:
        check_name(name)
    except Invalid:
        return
    assert set(name) <= set(string.ascii_letters + string.digits + "._@+-")


def test_names_are_compared_without_case():
    assert canonical("Bob") == canonical("bOB")


@pytest.mark.parametrize("password", ["x", "s3cret", "a:b@c/d?e#f", "\u00fc\u4e2d\U0001f600", " ", "x" * 255])
def test_good_passwords(password):
    assert check_password(password) == password


@pytest.mark.parametrize("password", ["", "x" * 256, "\u00fc" * 128, "a\nb", "a\0b", "\x7f", "\x85", "\ud800"])
def test_bad_passwords(password):
    with pytest.raises(Invalid) as caught:
        check_password(password)
    assert caught.value.code == "bad_password"


def test_notes_are_bounded():
    assert check_note("x" * 500)
    with pytest.raises(Invalid):
        check_note("x" * 501)


def test_made_passwords_are_good_and_differ():
    made = {make_password() for _ in range(100)}
    assert len(made) == 100
    assert all(check_password(password).isalnum() and len(password) == 20 for password in made)


def test_credential_numbers_differ_and_fit_a_database():
    made = {make_credential() for _ in range(100)}
    assert len(made) == 100
    assert all(0 < number < 2**63 for number in made)
