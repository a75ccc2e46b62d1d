import asyncio
import contextlib
import subprocess
import sys

import pytest

from vpn.services import spare_memory

VERIFICATION = """\
import os, threading
from vpn.domain.password import hash_password
from vpn.services import procfs
from vpn.services.spare_memory import give_back, share_heap

share_heap()
for _ in range(3):
    thread = threading.Thread(target=hash_password, args=("s3cret",))
    thread.start()
    thread.join()
before = procfs.usage(os.getpid()).memory
give_back()
print(before - procfs.usage(os.getpid()).memory)
"""


def test_what_verifying_a_password_took_goes_back():
    done = subprocess.run([sys.executable, "-c", VERIFICATION], capture_output=True, text=True, timeout=30, check=True)
    assert int(done.stdout) > 15_000_000


@pytest.mark.anyio
async def test_it_is_done_again_and_again(monkeypatch):
    times = []
    enough = asyncio.Event()

    def done():
        times.append(1)
        if len(times) == 3:
            loop.call_soon_threadsafe(enough.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(spare_memory, "PAUSE", 0.001)
    monkeypatch.setattr(spare_memory, "give_back", done)
    keeping = asyncio.create_task(spare_memory.keep_small())
    await asyncio.wait_for(enough.wait(), 10)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
