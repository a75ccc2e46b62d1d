import pytest

from vpn.domain.errors import Conflict, DomainError, Invalid, NotFound, Unavailable


@pytest.mark.parametrize("kind", [Invalid, NotFound, Conflict, Unavailable])
def test_every_error_says_what_and_how_to_mend_it(kind):
    error = kind("a_code", "what is wrong", "how to mend it")
    assert isinstance(error, DomainError)
    assert (error.code, error.message, error.hint) == ("a_code", "what is wrong", "how to mend it")
    assert str(error) == "what is wrong"
