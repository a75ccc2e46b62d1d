import resource

import pytest

from vpn.domain.session import Session
from vpn.services import session_spill
from vpn.services.session_spill import Block, SessionSpill


def session(number):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, user="alice", status="closed", ended=2.0)


def block(journal, *numbers):
    return Block(journal, [number * 100 for number in numbers], [session(number) for number in numbers])


@pytest.fixture
def spill(tmp_path):
    made = SessionSpill(tmp_path, 1_000_000)
    made.open()
    yield made
    made.close()


def reopened(spill, tmp_path):
    spill.close()
    again = SessionSpill(tmp_path, 1_000_000)
    again.open()
    return again


def drained(spill):
    blocks = []
    while found := spill.first():
        blocks.append(found)
        spill.drop()
    return blocks


def files(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_what_comes_first_goes_first_and_nothing_is_left(spill, tmp_path):
    assert spill.first() is None
    spill.append(block(7, 1, 2))
    spill.append(block(8, 3))
    assert (spill.sessions, spill.end(7), spill.end(8), spill.end(9)) == (3, 200, 300, 0)
    assert spill.first() == block(7, 1, 2)
    spill.append(block(7, 4))
    spill.drop()
    assert spill.sessions == 2
    assert drained(spill) == [block(8, 3), block(7, 4)]
    assert (spill.sessions, spill.size, spill.end(7), files(tmp_path)) == (0, 0, 0, [])


def test_another_process_finds_what_was_left(spill, tmp_path):
    spill.append(block(7, 1, 2))
    spill.append(block(8, 3))
    size = spill.size
    again = reopened(spill, tmp_path)
    assert (again.sessions, again.size, again.end(7), again.journals()) == (3, size, 200, {7, 8})
    again.append(block(9, 4))
    assert drained(again) == [block(7, 1, 2), block(8, 3), block(9, 4)]


def test_it_goes_on_in_another_file_and_removes_those_that_are_read(spill, tmp_path, monkeypatch):
    monkeypatch.setattr(session_spill, "SEGMENT", 300)
    written = [block(7, number) for number in range(1, 20)]
    for each in written:
        spill.append(each)
    before = files(tmp_path)
    assert len(before) > 3
    assert spill.first() == written[0]
    while files(tmp_path) == before:
        spill.drop()
    assert files(tmp_path) == before[1:]
    assert spill.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert drained(spill)[-1] == written[-1]


def test_it_holds_so_much_and_no_more(tmp_path):
    spill = SessionSpill(tmp_path, 1000)
    spill.open()
    with pytest.raises(OSError, match="spill_size"):
        for number in range(1, 100):
            spill.append(block(7, number))
    assert 0 < spill.size <= 1000
    spill.append(block(7, 100), bounded=False)
    assert drained(spill)[-1] == block(7, 100)


def test_a_block_that_the_disk_does_not_take_leaves_nothing_behind(spill):
    spill.append(block(7, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spill.size + 50, hard))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError, match=r"No space|too large"):
            spill.append(block(7, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spill.append(block(7, 3))
    assert drained(spill) == [block(7, 1), block(7, 3)]


@pytest.mark.parametrize("place", ["mark", "head", "body"])
def test_of_a_damaged_file_what_can_be_read_is_and_it_is_kept_aside(spill, tmp_path, place, capsys):
    spill.append(block(7, 1))
    start = spill.size
    spill.append(block(7, 2, 3))
    spill.append(block(7, 4))
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[start + {"mark": 0, "head": 9, "body": 60}[place]] ^= 0xFF
    path.write_bytes(data)
    assert drained(spill) == [block(7, 1), block(7, 4)]
    assert spill.lost == 2
    assert files(tmp_path) == ["00000001.damaged"]
    assert "a file of waiting sessions is damaged" in capsys.readouterr().out
    again = reopened(spill, tmp_path)
    again.append(block(7, 5))
    assert files(tmp_path) == ["00000001.damaged", "00000002.spill"], "what was kept aside stays"
    again.close()


def test_one_that_was_cut_off_gives_what_is_whole(spill, tmp_path, capsys):
    spill.append(block(7, 1))
    spill.append(block(7, 2))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    again = reopened(spill, tmp_path)
    assert (again.sessions, again.end(7)) == (1, 100)
    assert drained(again) == [block(7, 1)]
    assert "is damaged" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_a_file_of_something_else_does_no_harm(tmp_path, content):
    (tmp_path / "00000009.spill").write_bytes(content)
    spill = SessionSpill(tmp_path, 1_000_000)
    spill.open()
    spill.append(block(7, 1))
    assert drained(spill) == [block(7, 1)]
    assert files(tmp_path) == (["00000009.damaged"] if content else [])


def test_a_block_after_a_position():
    assert block(7, 1, 2, 3).after(200) == block(7, 3)
    assert block(7, 1, 2, 3).after(0) == block(7, 1, 2, 3)
    assert block(7, 1, 2, 3).after(300).sessions == []
