import asyncio
import time

import pytest

from vpn.services.metrics import loop_lag
from vpn.services.metrics.loop_lag import LoopLag

pytestmark = pytest.mark.anyio


async def test_a_loop_that_is_kept_busy_is_late(monkeypatch):
    monkeypatch.setattr(loop_lag, "LOOK", 0.01)
    lag = LoopLag()
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251 -- that is what is to be seen
    while not sum(lag.histogram.counts):  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(0)
    task.cancel()
    assert lag.histogram.sum >= 0.049
