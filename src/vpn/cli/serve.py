"""``vpn serve``: the daemon, in the foreground."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vpn import __version__
from vpn.cli.context import Context
from vpn.cli.output import curl_line, is_for_apps

if TYPE_CHECKING:
    from vpn.daemon import Announcement

_SPOKEN = {
    "mixed": "SOCKS and HTTP proxy",
    "socks": "SOCKS proxy",
    "http": "HTTP proxy",
    "shadowsocks": "Shadowsocks server",
}


def serve(
    ctx: typer.Context,
    listen: Annotated[
        str | None, typer.Option(help="Where SOCKS5 and HTTP clients connect, e.g. 127.0.0.1:1080.")
    ] = None,
    api_listen: Annotated[str | None, typer.Option(help="Where the API listens, e.g. 127.0.0.1:9090.")] = None,
    workers: Annotated[int | None, typer.Option(help="Data-plane processes.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="pretty or json.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. proxy.idle_timeout=60.")
    ] = None,
) -> None:
    """Run the daemon in the foreground, until Ctrl-C or SIGTERM."""
    context: Context = ctx.obj
    named = {
        "data_dir": context.data_dir,
        "proxy.listen": listen,
        "proxy.workers": workers,
        "api.listen": api_listen,
        "log.level": log_level,
        "log.format": log_format,
    }
    flags = {key: value for key, value in named.items() if value is not None} | _pairs(settings or [])

    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog would load it for nothing: 4 MB
    from vpn.daemon import serve as run
    from vpn.settings.load import load_settings

    del sys.modules["rich"]

    run(partial(load_settings, dict(os.environ), config=context.config, flags=flags), announce)


def announce(announcement: Announcement) -> None:
    """Tell a person what to do now. The first user's password is shown this once."""
    api = f"{'https' if announcement.api_tls else 'http'}://{announcement.api}"
    print(f"\nvpn-manager {__version__} is serving\n")
    for inbound in announcement.inbounds:
        print(f"  {_SPOKEN[inbound.protocol]:22} {inbound.listen}{' (TLS)' if inbound.tls else ''}")
    for name, problem in announcement.unserved.items():
        print(f"  {name + ' is not served':22} {problem}; it is tried again")
    print(f"  {'API':22} {api}")
    print(f"  {'API docs':22} {api}/docs")
    print(f"  {'API token':22} {announcement.token_file}")
    print(f"  {'Data':22} {announcement.data_directory}\n")
    command = _own_name()
    if announcement.first_links:
        print("The first user is called me; the password is shown only now. Try it:\n")
        for link in announcement.first_links:
            print(f"  {link if is_for_apps(link) else curl_line(link)}")
        print(f"\nThen add somebody:  {command} users add alice")
    else:
        print(f"See the users with:  {command} users list")
    print("Stop with Ctrl-C.\n", flush=True)


def _pairs(settings: list[str]) -> dict[str, Any]:
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"{setting!r} is not of the form KEY=VALUE")
        pairs[key] = value
    return pairs


def _own_name() -> str:
    """How this program is called from here."""
    found = shutil.which("vpn")
    return "vpn" if found and os.path.realpath(found) == os.path.realpath(sys.argv[0]) else sys.argv[0]
