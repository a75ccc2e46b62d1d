import pytest

from vpn.domain.password import hash_password, verify_password


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
