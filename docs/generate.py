"""Writes the pages that come from the code: ``make docs``. A test fails while they are out of date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from vpn.cli import failures
from vpn.cli.main import make_app
from vpn.domain.reasons import REASONS
from vpn.monitoring.alerts import alerts
from vpn.monitoring.families import GROUPS
from vpn.monitoring.family import Family
from vpn.settings.model import Settings
from vpn.settings.values import Section, section_in

DOCS = Path(__file__).parent
_MADE = "<!-- Made by `make docs`. Change the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {
        "cli.md": command_line(),
        "configuration.md": configuration(),
        "metrics.md": metrics(),
        "sessions.md": sessions(),
    }


def command_line() -> str:
    """The reference of all commands."""
    command = get_command(make_app())
    text = get_docs_for_click(obj=command, ctx=Context(command), name="vpn", title="Command line")
    codes = (failures.__doc__ or "").strip().splitlines()[2:]
    rows = [f"| {code} | {meaning} |" for code, meaning in (line.split(None, 1) for line in codes)]
    table = "\n".join(["| code | meaning |", "|---|---|", *rows])
    title, _, rest = text.strip().partition("\n")
    intro = "The global options may stand anywhere on the command line."
    return f"{_MADE}{title}\n\n{intro}\n{_without_trailing_space(rest)}\n\n## Exit codes\n\n{table}\n"


def _without_trailing_space(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


def configuration() -> str:
    """The reference of all settings."""
    rows = [
        f"| `{name}` | `VPN_{name.upper().replace('.', '__')}` | {default} | {description} |"
        for name, default, description in _settings(Settings, "")
    ]
    return f"""{_MADE}# Configuration

Settings come in layers, and a later one wins: defaults, the configuration file, the environment, flags.

- The **file** is YAML, TOML or JSON: the one that `--config` or `VPN_CONFIG` names, else the first `config.yaml`,
  `.yml`, `.toml` or `.json` in `~/.config/vpn-manager` and `/etc/vpn-manager`.
- In the **environment** the names are upper case, with `VPN_` before and `__` between levels.
- As **flags**, the common ones have their own (`vpn serve --help`); `--set proxy.idle_timeout=60` takes any.

A key that does not exist and a value that cannot be are errors that name the file, the line and the right spelling.

| setting | variable | default | meaning |
|---|---|---|---|
{chr(10).join(rows)}

```yaml
# config.yaml
proxy:
  listen: 0.0.0.0:1080
  idle_timeout: 300
log:
  format: json
```
"""


def sessions() -> str:
    """The reference of what is known of a session, and of all reasons."""
    rows = [
        f"| `{code}` | {', '.join(f'`{status}`' for status in reason.statuses)} | {reason.meaning} |"
        for code, reason in sorted(REASONS.items())
    ]
    return f"""{_MADE}# Sessions

A session is one proxied connection, one UDP association or one forwarded HTTP request, from request to close. Attempts
that were refused are sessions, too, and so are clients that got no further than the handshake.

- A client that keeps its HTTP connection and asks for nothing is no session; its next request is one.
- `host` is what the client asked for, `address` what was connected to.
- `bytes_sent` go from the client to the destination, `bytes_received` come back; neither counts the handshake. Packets
  are datagrams of UDP associations.
- `server_name` is the name that the client's TLS asks for inside the tunnel (SNI), else the one that it asks an inbound
  in TLS for. It is looked for in the first 4 KiB that the client sends. Where the client encrypts it (ECH), it is the
  public name on the outside.
- `connect_time` goes from the request until the destination was reached: resolving, upstreams and retries are in it.
  Of a BIND, it is the time until the peer came. `first_byte_time` goes from then until the destination's first byte;
  of UDP, from the first datagram until the first answer. Both are in seconds, and 0 where there was no such moment.

| status | meaning |
|---|---|
| `active` | it lives |
| `closed` | it was served and has ended, or was cut |
| `failed` | it came to nothing, or broke off in the middle of an HTTP answer |
| `rejected_by_acl` | a rule, the policy's default, the guard of destinations or a limit of the user's refused it |

## Reasons

`reason` says why a session ended, or was refused. What the kernel says when it cannot connect, and what has no row
here, is its own name for it in lower case, such as `eaddrnotavail`.

| reason | status | meaning |
|---|---|---|
{chr(10).join(rows)}
"""


def metrics() -> str:
    """The reference of all metrics, and of the alerts that are made of them."""
    tables = "\n\n".join(f"## {title}\n\n{_metrics_table(families)}" for title, families in GROUPS.items())
    rows = [f"| `{each.name}` | {each.severity} | {each.action} |" for each in alerts()]
    return f"""{_MADE}# Metrics

`GET /metrics` of the API has them, in Prometheus' text format or, if that is asked for, in OpenMetrics. It wants the
API's token (`Authorization: Bearer …`), unless `metrics.public` is set. All workers are in it, as they were at one
moment.

`vpn monitor dashboards export DIR` writes dashboards for Grafana, alerts, and a configuration for Prometheus.

- Counters do not go back while the daemon runs, whatever happens to its workers.
- What was counted of sessions is less than a second old: workers report twice a second.
- There are never too many series. Of users and destinations only those have series of their own that move the most
  (`metrics.users`, `metrics.destinations`); all others together are `other`. One that is shown counts from that moment
  on. One that moves much less than others gives its place to them, at most every minute, and goes on from its count
  should it come back. Sessions in which nobody has logged in count for no user. The other labels are words of the
  program or of its settings.

{tables}

## Alerts

| alert | severity | what to do |
|---|---|---|
{chr(10).join(rows)}
"""


def _metrics_table(families: tuple[Family, ...]) -> str:
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in families
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


def _settings(model: type[Section], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        section = section_in(field.annotation)
        if section is not None:
            below = {dict: "NAME.", list: "N."}.get(get_origin(field.annotation), "")
            if below:
                yield f"{prefix}{name}", "empty", field.description or ""
            yield from _settings(section, f"{prefix}{name}.{below}")
        elif name == "data_dir":
            yield name, "`/var/lib/vpn-manager` for root, else `~/.local/share/vpn-manager`", field.description or ""
        else:
            yield f"{prefix}{name}", _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is PydanticUndefined:  # it depends on the machine
        return "see there"
    return f"`{field.default}`" if str(field.default) not in ("", "None", "[]", "{}") else "empty"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
