import gzip
from datetime import UTC, datetime

import pytest

from tests.support.waiting import until
from vpn.services.rotated_file import RotatedFile
from vpn.settings.logs import AccessLogSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def make(tmp_path):
    made = []

    def make(**settings):
        file = RotatedFile(AccessLogSettings(file=tmp_path / "access.log", **settings))
        made.append(file)
        return file

    yield make
    for file in made:
        file.finish()


def names(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_lines_are_added_to_a_file_of_ours_alone(make, tmp_path):
    for _ in range(2):
        file = make()
        assert file.write(b"a\n", NOW) == 2
        file.finish()
    assert (tmp_path / "access.log").read_bytes() == b"a\na\n"
    assert (tmp_path / "access.log").stat().st_mode & 0o777 == 0o600


def test_a_large_file_is_put_aside_and_so_many_are_kept(make, tmp_path):
    file = make(max_size="10", keep=2)
    for number in range(5):
        file.write(b"line %d\n" % number, NOW + number)
        until(lambda: file._compressing is None or not file._compressing.is_alive())
    file.finish()
    assert (tmp_path / "access.log").read_bytes() == b"line 4\n"
    expected = [f"access.log.20260101T00000{second}.000000Z.gz" for second in (3, 4)]
    assert names(tmp_path) == ["access.log", *expected]
    for number, name in zip((2, 3), expected, strict=True):
        assert gzip.decompress((tmp_path / name).read_bytes()) == b"line %d\n" % number
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_none_is_kept_and_none_is_compressed_unless_wanted(make, tmp_path):
    file = make(max_size="10", compress=False, keep=1)
    for number in range(3):
        file.write(b"line %d\n" % number, NOW + number)
        until(lambda: file._compressing is None or not file._compressing.is_alive())
    file.finish()
    assert names(tmp_path) == ["access.log", "access.log.20260101T000002.000000Z"]
    file = make(max_size="10", keep=0)
    file.write(b"line 9\n", NOW + 9)
    file.finish()
    assert names(tmp_path) == ["access.log"]


@pytest.mark.parametrize(
    "line", [b'{"time":"2026-01-01T00:00:00.000+00:00"}\n', b'x - - [01/Jan/2026:00:00:00 +0000] "x"\n']
)
def test_an_old_file_is_put_aside_also_after_a_restart(make, tmp_path, line):
    file = make(max_age=100)
    file.write(line, NOW)
    file.write(line, NOW + 99)
    file.finish()
    file = make(max_age=100)
    file.write(b"later\n", NOW + 100)
    assert (tmp_path / "access.log").read_bytes() == b"later\n"


def test_what_others_do_to_the_file_is_noticed(make, tmp_path):
    file = make()
    file.write(b"1\n", NOW)
    (tmp_path / "access.log").rename(tmp_path / "access.log.1")
    file.write(b"2\n", NOW)
    (tmp_path / "access.log").unlink()
    file.write(b"3\n", NOW)
    file.close()
    file.write(b"4\n", NOW)
    assert (tmp_path / "access.log.1").read_bytes() == b"1\n"
    assert (tmp_path / "access.log").read_bytes() == b"3\n4\n"


def test_what_was_not_compressed_before_a_crash_is_compressed(make, tmp_path):
    (tmp_path / "access.log.20250101T000000.000000Z").write_bytes(b"old\n")
    (tmp_path / "access.log.20250101T000000.000000Z.part").write_bytes(b"half")
    (tmp_path / "access.log.mine").write_bytes(b"not ours\n")
    file = make()
    file.write(b"new\n", NOW)
    file.finish()
    assert names(tmp_path) == ["access.log", "access.log.20250101T000000.000000Z.gz", "access.log.mine"]


def test_a_line_is_not_torn_apart(make, tmp_path):
    file = make(max_size="10")
    file.write(b"half a line", NOW)
    file.write(b" and the rest\n", NOW)
    file.write(b"next\n", NOW)
    assert (tmp_path / "access.log").read_bytes() == b"next\n"


def test_a_full_disk(make):
    file = RotatedFile(AccessLogSettings(file="/dev/full", max_size=0))
    with pytest.raises(OSError, match="No space"):
        file.write(b"x\n", NOW)
    file.close()
