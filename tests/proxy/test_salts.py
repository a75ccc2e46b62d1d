import os
import stat
import subprocess
import sys

import pytest

from vpn.domain.errors import Unavailable
from vpn.proxy import salts
from vpn.proxy.salts import Salts

RACER = """
import sys
from vpn.proxy.salts import Salts

row = int(sys.argv[2])
own, mine = Salts(int(sys.argv[1]), row), 8 + row
cells, other = own._cells, 9 - row
both = 0
for turn in range(1, 2_001):
    cells[mine] = turn * 3  # meet the other one
    while cells[other] < turn * 3:
        pass
    taken = own.fresh(turn.to_bytes(32, "big"))
    cells[mine] = turn * 3 + 1 + taken
    while cells[other] < turn * 3 + 1:
        pass
    both += taken and cells[other] == turn * 3 + 2
print(both)
"""


@pytest.fixture
def memory():
    fd = salts.create(2)
    yield fd
    os.close(fd)


def test_a_salt_is_taken_once_by_all_workers_together(memory):
    one, other = Salts(memory, 0), Salts(memory, 1)
    assert one.fresh(b"a" * 16)
    assert not one.fresh(b"a" * 16)
    assert not other.fresh(b"a" * 16)
    assert other.fresh(b"b" * 32)
    assert not one.fresh(b"b" * 32)
    assert one.fresh(b"c" * 32)


def test_our_own_salts_are_nobodys_for_all_workers(memory):
    one, other = Salts(memory, 0), Salts(memory, 1)
    one.note(b"a" * 32)
    assert not one.fresh(b"a" * 32)
    assert not other.fresh(b"a" * 32)


def test_of_two_processes_that_are_given_the_same_salt_never_both_take_it(memory):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(memory), str(row)], pass_fds=[memory], stdout=subprocess.PIPE, text=True
        )
        for row in range(2)
    ]
    assert [racer.communicate(timeout=60)[0].split() for racer in racers] == [["0"], ["0"]]


def test_a_full_bucket_forgets_its_oldest(memory, monkeypatch):
    monkeypatch.setattr(salts, "BUCKETS", 1)
    few = salts.create(1)
    one = Salts(few)
    os.close(few)
    assert all(one.fresh(bytes([number])) for number in range(7))
    assert not any(one.fresh(bytes([number])) for number in range(7))
    assert one.fresh(b"another")
    assert not one.fresh(bytes([6]))
    assert one.fresh(bytes([0]))


def test_it_remembers_many(memory):
    one = Salts(memory)
    assert sum(one.fresh(number.to_bytes(16, "big")) for number in range(20_000)) == 20_000
    assert sum(one.fresh(number.to_bytes(16, "big")) for number in range(20_000)) == 0


def test_a_file_outlives_the_processes(tmp_path):
    path = tmp_path / "salts"
    fd = salts.open_file(path, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Salts(fd, 1).fresh(b"a" * 16)
    key = Salts(fd, 1).own_key
    os.close(fd)
    fd = salts.open_file(path, 2)
    assert Salts(fd, 0).own_key == key
    assert not Salts(fd, 0).fresh(b"a" * 16)
    os.close(fd)


@pytest.mark.parametrize("spoil", [lambda path: None, lambda path: path.write_bytes(bytes(salts.size(3)))])
def test_another_number_of_workers_or_another_format_begins_anew(tmp_path, spoil):
    path = tmp_path / "salts"
    fd = salts.open_file(path, 2)
    assert Salts(fd).fresh(b"a" * 16)
    os.close(fd)
    spoil(path)
    fd = salts.open_file(path, 3)
    assert Salts(fd, 2).fresh(b"a" * 16)
    assert os.fstat(fd).st_ino == path.stat().st_ino
    assert not (tmp_path / "salts.new").exists()
    os.close(fd)


def test_two_memories_have_two_keys(memory):
    other = salts.create(2)
    assert os.pread(memory, 16, 16) != os.pread(other, 16, 16)
    assert any(os.pread(other, 16, 16))
    os.close(other)


def test_where_no_file_can_be_made_it_says_so(tmp_path):
    with pytest.raises(Unavailable, match="No such file"):
        salts.open_file(tmp_path / "nowhere" / "salts", 1)
