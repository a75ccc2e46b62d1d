import pytest

from vpn.domain.hostname import is_hostname


@pytest.mark.parametrize("name", ["example.org", "localhost", "a-b.example.", "xn--bcher-kva.example", "3com.com"])
def test_names(name):
    assert is_hostname(name)


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a.b", "a-.b", "a b", "a:1", "bücher.example", "1.2.3.4", "1.2", "x" * 64, "a." * 130]
)
def test_what_is_none(name):
    assert not is_hostname(name)
