from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from tests.support.daemon import Result
from vpn.cli import main


@pytest.fixture
def vpn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """The command line in this process, with a data directory of its own and no daemon."""
    monkeypatch.setenv("VPN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))

    def call(*arguments: str) -> Result:
        monkeypatch.setattr("sys.argv", ["vpn", *arguments])
        capsys.readouterr()
        try:
            main.run()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            structlog.reset_defaults()
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
