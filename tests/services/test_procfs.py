import mmap
import os
import resource
import subprocess

from vpn.services import procfs


def test_a_process_tells_what_it_uses():
    before = procfs.usage(os.getpid())
    ballast = mmap.mmap(-1, 32 << 20)
    ballast.write(bytes(32 << 20))
    after = procfs.usage(os.getpid())
    assert after.memory - before.memory > 16 << 20
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert 0 < after.cpu <= spent.ru_utime + spent.ru_stime + 1
    ballast.close()


def test_one_that_is_gone_does_not():
    process = subprocess.Popen(["true"])
    process.wait()
    assert procfs.usage(process.pid) is None


def test_open_files_are_counted():
    before = procfs.open_fds(os.getpid())
    with open("/dev/null"), open("/dev/null"):
        assert procfs.open_fds(os.getpid()) == before + 2
    assert procfs.open_fds(os.getpid()) == before


def test_those_of_another_process_too():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as other:
        other.stdin.write(b"x")
        assert other.stdout.read(1) == b"x", "it has begun to read"
        assert procfs.open_fds(other.pid) == 3
    assert procfs.open_fds(other.pid) is None
