import pytest

from vpn.domain.address import pack
from vpn.domain.guard import why_guarded


@pytest.mark.parametrize(
    ("address", "closed", "allowed"),
    [
        ("127.0.0.1", "loopback_destination", ""),
        ("10.0.0.1", "private_destination", ""),
        ("169.254.169.254", "link_local_destination", ""),
        ("::ffff:127.0.0.1", "loopback_destination", ""),
        ("0.0.0.0", "unspecified_destination", "unspecified_destination"),
        ("::ffff:0.0.0.0", "unspecified_destination", "unspecified_destination"),
        ("8.8.8.8", "", ""),
    ],
)
def test_what_is_not_public_is_guarded_unless_it_is_allowed(address, closed, allowed):
    assert why_guarded(pack(address), private_allowed=False) == closed
    assert why_guarded(pack(address), private_allowed=True) == allowed
