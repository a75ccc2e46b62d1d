import pytest
from pydantic import ValidationError

from vpn.settings.sessions import SessionSettings


def test_sizes_are_written_as_people_do():
    settings = SessionSettings(journal_size="64KiB", spill_size="1GB")
    assert (settings.journal_size, settings.spill_size) == (65536, 10**9)


@pytest.mark.parametrize("size", ["1KiB", "2GiB", "many", -1])
def test_a_journal_has_a_size_that_makes_sense(size):
    with pytest.raises(ValidationError):
        SessionSettings(journal_size=size)


def test_what_is_no_size_is_told_how_to_write_it():
    with pytest.raises(ValidationError, match="write it as 50GB"):
        SessionSettings(spill_size="much")
