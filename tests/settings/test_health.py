import pytest
from pydantic import ValidationError

from vpn.settings.health import HealthSettings


def test_space_is_written_as_people_do():
    assert HealthSettings(min_free_space="2GiB").min_free_space == 2 * 2**30
    assert HealthSettings(min_free_space=0).min_free_space == 0


@pytest.mark.parametrize("size", ["much", "-1", -1, 2**70])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValidationError):
        HealthSettings(min_free_space=size)
