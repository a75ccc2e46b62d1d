"""Work that would keep the loop for too long, in a thread of its own."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from vpn.proxy.poller import Poller


class _Job(NamedTuple):
    work: Callable[[], BaseException | None]
    done: Callable[[BaseException | None], None]


class Background:
    """One thread, started when there is something to do. OpenSSL lets go of the interpreter while it computes."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._todo: SimpleQueue[_Job] = SimpleQueue()
        self._finished: deque[tuple[_Job, BaseException | None]] = deque()
        self._wake = -1

    def run(self, work: Callable[[], BaseException | None], done: Callable[[BaseException | None], None]) -> None:
        """Do `work` in the thread, then call `done` in the loop with what it returned."""
        if self._wake < 0:
            self._start()
        self._todo.put(_Job(work, done))

    def _start(self) -> None:
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._wake, self._on_wake, select.EPOLLIN)
        threading.Thread(target=self._work, name="background", daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._todo.get()
            try:
                result = job.work()
            except Exception as error:  # the thread must go on for the others
                result = error
            self._finished.append((job, result))
            os.eventfd_write(self._wake, 1)

    def _on_wake(self, mask: int) -> None:
        os.eventfd_read(self._wake)
        while self._finished:
            job, result = self._finished.popleft()
            self._poller.soon(partial(job.done, result))
