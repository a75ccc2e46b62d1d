import pytest

from tests.support.child import in_child

CODE = """
import ctypes
from vpn import allocator

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def use(size):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    libc.free(block)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "settled":
    allocator.settle()
before = resident()
for _ in range(3):
    use(19 << 20)
answer(resident() - before)
"""


@pytest.mark.parametrize(("how", "kept"), [("settled", False), ("as it is", True)])
def test_a_large_block_that_was_freed_is_not_kept(how, kept):
    assert (in_child(CODE, how) > 10 << 20) is kept
