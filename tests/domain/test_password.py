import pytest

from vpn.domain.errors import Invalid
from vpn.domain.password import check_password_hash, hash_password, verify_password


def test_a_hash_verifies_its_password_and_no_other():
    made = hash_password("s3cret")
    assert made.startswith("$argon2id$")
    assert verify_password(made, "s3cret")
    assert not verify_password(made, "s3creT")


def test_hashes_are_salted():
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("damaged", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$"])
def test_a_damaged_hash_verifies_nothing(damaged):
    assert not verify_password(damaged, "s3cret")


def test_our_own_hashes_are_good():
    made = hash_password("x")
    assert check_password_hash(made) == made


SALT, DIGEST = "c29tZXNhbHRzb21lc2FsdA", "RdescudvJCsgt3ub+b7dWRWJTmaaJObGWFxKzPKDBcM"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"$argon2i$v=19$m=19456,t=2,p=1${SALT}${DIGEST}",
        f"$argon2id$v=16$m=19456,t=2,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=999999,t=2,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=19456,t=99,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=19456,t=0,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=19456,t=2,p=0${SALT}${DIGEST}",
        f"$argon2id$v=19$m=4,t=2,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=19456,t=2,p=1$c2$${DIGEST}",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${DIGEST[:-1]}N",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${DIGEST}\n",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}$" + "A" * 300,
        "$2b$12$KIXQ4wB6Qk8H1Q0Z6y7z6u",
    ],
)
def test_what_is_no_hash_of_ours(text):
    with pytest.raises(Invalid) as caught:
        check_password_hash(text)
    assert caught.value.code == "bad_password_hash"
    assert DIGEST not in caught.value.message + caught.value.hint


def test_a_hash_that_is_accepted_can_be_verified():
    assert not verify_password(check_password_hash(f"$argon2id$v=19$m=64,t=1,p=1${SALT}${DIGEST}"), "x")
