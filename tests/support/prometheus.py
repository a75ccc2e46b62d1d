"""A real Prometheus, with the files that we made for it."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.programs import find_program
from tests.support.servers import unused_port
from tests.support.waiting import until

Sample = dict[str, Any]


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        """An answer of its API; an error of a query is an assertion."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[Sample]:
        """What an expression gives at this moment."""
        found: list[Sample] = self.get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of an expression that gives one, or None."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running_prometheus(directory: Path) -> Iterator[Prometheus]:
    """One that works by the prometheus.yml of a directory, but scrapes every second; it is stopped at the end."""
    config = directory / "prometheus.yml"
    config.write_text(config.read_text().replace("interval: 15s", "interval: 1s"))
    port = unused_port()
    log = directory / "log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [
                find_program("prometheus"),
                f"--config.file={config}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={directory / 'data'}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        this = Prometheus(port)
        until(lambda: process.poll() is not None or this.is_ready)
        assert process.poll() is None, log.read_text()
        yield this
    finally:
        process.terminate()
        process.wait(20)
