"""``vpn monitor dashboards``: what Grafana and Prometheus work from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpn.cli.context import Context
from vpn.domain.errors import Conflict, Unavailable

app = typer.Typer(help="Dashboards for Grafana, alerts for Prometheus.", no_args_is_help=True, rich_markup_mode=None)

_MARK = "Made by: vpn monitor dashboards export"


@app.command("export")
def export(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Where to write them; it is made if need be.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace files that are not ours, too.")] = False,
) -> None:
    """Write dashboards for Grafana, alerts for Prometheus, and how to set both up for this daemon."""
    context: Context = ctx.obj
    files = context.client().monitoring_files()
    foreign = [name for name in files if _is_foreign(directory / name)]
    if foreign and not force:
        raise Conflict(
            "files_exist",
            f"in {directory} there are files that are not ours: {', '.join(foreign)}",
            "choose another directory, or replace them with --force",
        )
    written = [{"file": str(_write(directory / name, text))} for name, text in files.items()]
    context.output.rows(written, ["file"], empty="There is nothing to write.")
    context.output.sentence(
        "\nNext: let Prometheus read the token (see prometheus.yml), and start it there:\n"
        f"  cd {directory} && prometheus --config.file=prometheus.yml --web.listen-address=127.0.0.1:9091\n"
        "For Grafana, copy grafana/provisioning to /etc/grafana, and dashboards to /etc/grafana/dashboards."
    )


def _is_foreign(path: Path) -> bool:
    """Whether somebody else's file is there."""
    try:
        return _MARK not in path.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _trouble(path, error) from None


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise _trouble(path, error) from None
    return path


def _trouble(path: Path, error: OSError) -> Unavailable:
    return Unavailable("cannot_write", f"{path}: {error.strerror}", "choose a directory that you may write to")
