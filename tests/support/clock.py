"""Time that passes when a test says so."""


class Clock:
    """A clock in seconds, as `time.time` and `time.monotonic` are. A test sets `now`."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
