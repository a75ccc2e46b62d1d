import os

import pytest

from tests.support.child import in_child
from tests.support.small_disk import on_small_disk
from vpn.proxy.meter import CONNECTIONS, DOWN, RATE_UP, RESERVED, STOP, UP, Meter, prepare, size


@pytest.fixture
def fd():
    fd = os.memfd_create("meter")
    yield fd
    os.close(fd)


@pytest.fixture
def meter(fd):
    prepare(fd, 3)
    meter = Meter(fd)
    yield meter
    meter.close()


def test_workers_count_apart_and_are_added_up(meter):
    for worker in range(3):
        meter.cells[meter.count(worker, 5) + UP] = 10**worker
    meter.cells[meter.count(1, 6) + UP] = 7
    assert (meter.total(5, UP), meter.total(5, DOWN), meter.total(6, UP)) == (111, 0, 7)
    assert meter.totals(UP, 7) == [0, 0, 0, 0, 0, 111, 7]


def test_no_two_things_share_a_cell(meter):
    slots = (0, 1, 65535)
    cells = [meter.order(slot) + what for slot in slots for what in range(8)]
    cells += [meter.count(worker, slot) + what for worker in range(3) for slot in slots for what in range(8)]
    cells += [meter.devices(worker, slot) + place for worker in range(3) for slot in slots for place in range(32)]
    assert len(set(cells)) == len(cells)
    assert max(cells) == len(meter.cells) - 1


def test_a_slot_that_is_assigned_begins_with_nothing_and_the_others_stay(meter):
    for slot in (4, 5, 6):
        for first in (meter.order(slot), meter.count(2, slot), meter.devices(1, slot)):
            meter.cells[first] = 9
    meter.assign(5, 2**40, used=True)
    assert [meter.number(slot) for slot in (4, 5, 6)] == [0, 2**40, 0]
    for slot, left in ((4, 9), (5, 0), (6, 9)):
        firsts = (meter.order(slot), meter.count(2, slot), meter.devices(1, slot))
        assert {meter.cells[first] for first in firsts} == {left}


def test_when_a_worker_is_gone_its_connections_are_and_its_bytes_stay(meter):
    for worker in (0, 1):
        meter.cells[meter.count(worker, 9) + CONNECTIONS] = 2
        meter.cells[meter.count(worker, 9) + DOWN] = 100
        meter.cells[meter.devices(worker, 9) + 3] = 77
    meter.clear(1, 10)
    assert (meter.total(9, CONNECTIONS), meter.total(9, DOWN)) == (2, 200)
    assert (meter.cells[meter.devices(0, 9) + 3], meter.cells[meter.devices(1, 9) + 3]) == (77, 0)


def test_processes_see_the_same(meter, fd):
    other = Meter(fd)
    other.cells[other.order(3) + STOP] = 1
    other.cells[other.order(3) + RATE_UP] = 2
    assert (meter.cells[meter.order(3) + STOP], meter.cells[meter.order(3) + RATE_UP]) == (1, 2)
    other.close()


def test_each_has_a_generation_of_its_own(meter, fd):
    before = meter.generation
    os.ftruncate(fd, 0)
    prepare(fd, 3)
    again = Meter(fd)
    assert again.generation not in (0, before)
    again.close()


@pytest.mark.parametrize("content", [b"\0" * 4096, b"x" * 4096, b"x" * 24, b"\0" * 8])
def test_what_is_no_meter_is_told(fd, content):
    os.write(fd, content)
    meter = Meter(fd)
    with pytest.raises(ValueError, match="no meter"):
        meter.check()
    meter.close()


def test_one_that_was_cut_off_is_none(fd):
    prepare(fd, 2)
    os.ftruncate(fd, size(2) - 4096)
    meter = Meter(fd)
    with pytest.raises(ValueError, match="no meter"):
        meter.check()
    meter.close()


def test_on_a_full_disk_there_is_an_error_and_nobody_is_killed(tmp_path):
    """A page that the disk has no room for would kill who touches it."""
    code = """
        import os
        from vpn.proxy.meter import DEVICES, LINE, RESERVED, SLOTS, Meter, prepare
        fd = os.open(sys.argv[1] + "/meter", os.O_RDWR | os.O_CREAT)
        prepare(fd, 2)
        meter = Meter(fd)
        reserved = 0
        try:
            for slot in range(SLOTS):
                if slot % RESERVED == 0:
                    meter.reserve(fd, slot)
                meter.assign(slot, slot + 1, used=True)
                for first, length in meter._lines(slot):
                    for cell in range(first, first + length):
                        meter.cells[cell] = 7
                reserved += 1
        except OSError as error:
            answer([error.strerror, reserved])
    """
    problem, slots = in_child(code, str(tmp_path), through=on_small_disk(tmp_path, 4 * 1024 * 1024))
    assert problem == "No space left on device"
    assert slots > 10 * RESERVED
    assert slots % RESERVED == 0


def test_there_is_no_meter_where_there_is_no_space(tmp_path):
    code = """
        import os
        from vpn.proxy.meter import prepare
        try:
            prepare(os.open(sys.argv[1] + "/meter", os.O_RDWR | os.O_CREAT), 2)
        except OSError as error:
            answer(error.strerror)
    """
    small = on_small_disk(tmp_path, 256 * 1024)
    assert in_child(code, str(tmp_path), through=small) == "No space left on device"
