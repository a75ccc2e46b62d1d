"""The real daemon and the real command line, as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import children

VPN = Path(sys.executable).with_name("vpn")


class Result(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """An environment with nothing of ours in it but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VPN_")}
    return clean | {"VPN_DATA_DIR": str(data_dir), "XDG_CONFIG_HOME": str(data_dir / "none")} | variables


def vpn(data_dir: Path, *arguments: str, stdin: str = "", through: Sequence[str] = (), **variables: str) -> Result:
    """Run one command to its end; `through` are the words of another program before it."""
    done = subprocess.run(
        [*through, VPN, *arguments],
        env=environment(data_dir, **variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


class Daemon:
    """A running `vpn serve`, by way of the program `through` if need be. Its output is collected while it runs."""

    def __init__(self, data_dir: Path, *arguments: str, through: Sequence[str] = (), **variables: str) -> None:
        self.data_dir = data_dir
        self.out = ""
        self.err = ""
        self._heard = threading.Condition()
        defaults = {
            "VPN_PROXY__LISTEN": "127.0.0.1:0",
            "VPN_API__LISTEN": "127.0.0.1:0",
            "VPN_PROXY__PRIVATE_DESTINATIONS": "allow",
            "VPN_PROXY__DRAIN_TIMEOUT": "0",
            "VPN_LOG__FORMAT": "json",
        }
        self.process = subprocess.Popen(
            [*through, VPN, "serve", *arguments],
            env=environment(data_dir, **defaults | variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._collect, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def _collect(self, name: str) -> None:
        stream = getattr(self.process, name)
        for line in stream:
            with self._heard:
                if name == "stdout":
                    self.out += line
                else:
                    self.err += line
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()

    def wait_for(self, pattern: str, stream: str = "out", seconds: float = 20) -> re.Match[str]:
        """Wait until the output has something that matches."""
        with self._heard:
            found = self._heard.wait_for(lambda: re.search(pattern, getattr(self, stream)), seconds)
        assert found, f"no {pattern!r} in:\n{self.out}\n{self.err}"
        return found

    def ready(self) -> Daemon:
        """Wait until it has announced itself."""
        self.wait_for("Stop with Ctrl-C")
        return self

    @property
    def port(self) -> int:
        """The proxy's port."""
        return int(self.wait_for(r"proxy +\S+:(\d+)")[1])

    @property
    def api(self) -> str:
        """The API's URL."""
        return self.wait_for(r"API +(http://\S+)")[1]

    def vpn(self, *arguments: str, **options: str) -> Result:
        """A command for this daemon."""
        return vpn(self.data_dir, *arguments, **options)

    def add_user(self, name: str, password: str = "s3cret") -> None:
        """Add a user by the command line."""
        result = self.vpn("users", "add", name, "--password", password)
        assert result.code == 0, result

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return children(self.process.pid)


@contextmanager
def running_daemon(data_dir: Path, *arguments: str, through: Sequence[str] = (), **variables: str) -> Iterator[Daemon]:
    """A daemon that is ready, and stopped at the end."""
    daemon = Daemon(data_dir, *arguments, through=through, **variables)
    try:
        yield daemon.ready()
    finally:
        daemon.stop()
