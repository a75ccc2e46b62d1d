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
from vpn.settings.model import Settings
from vpn.settings.values import Section, section_in

DOCS = Path(__file__).parent
_MADE = "<!-- Made by `make docs`. Change the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {"cli.md": command_line(), "configuration.md": configuration()}


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
    return f"`{field.default}`" if field.default not in ("", None, [], {}) else "empty"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
