"""Putting the layers together, and saying where a bad value came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vpn.domain.errors import Invalid
from vpn.settings.document import Document, Values, read_document
from vpn.settings.model import Settings
from vpn.settings.paths import default_data_dir, find_config
from vpn.settings.problems import Key, problems_of

PREFIX = "VPN_"
SEPARATOR = "__"
# What the command line itself reads from the environment.
COMMAND_LINE = frozenset({"VPN_CONFIG", "VPN_SERVER", "VPN_TOKEN", "VPN_FORMAT", "VPN_VERBOSE"})
# Kubernetes puts these into every container next to a Service called "vpn".
_KUBERNETES = re.compile(r"VPN_(SERVICE_(HOST|PORT)(_.*)?|PORT(_.*)?)")


def load_settings(
    environment: Mapping[str, str], *, config: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Settings:
    """Merge defaults, configuration file, environment and flags.

    Args:
        environment: usually `os.environ`.
        config: the configuration file; None: ``VPN_CONFIG``, else the one that is found, if any.
        flags: dotted keys and values, e.g. ``{"proxy.listen": "127.0.0.1:1080"}``.

    Raises:
        Invalid: a key is unknown or a value is bad; the message says where, and what was expected.
        Unavailable: the configuration file cannot be read.
    """
    named = config or (Path(environment["VPN_CONFIG"]) if environment.get("VPN_CONFIG") else None)
    path = named or find_config(environment)
    document = read_document(path) if path is not None else None

    values: Values = {"data_dir": default_data_dir(environment)}
    origins: dict[Key, str] = {}
    if document is not None:
        _merge(values, document.values)
    for key, variable in _variables(environment).items():
        _put(values, key, environment[variable])
        origins[key] = variable
    for dotted, value in (flags or {}).items():
        key = tuple(dotted.split("."))
        _put(values, key, value)
        origins[key] = "--" + key[-1].replace("_", "-") if len(key) == 1 else f"--set {dotted}"
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, document, origins) from None


def _variables(environment: Mapping[str, str]) -> dict[Key, str]:
    return {
        tuple(name[len(PREFIX) :].lower().split(SEPARATOR)): name
        for name in sorted(environment)
        # An empty variable is one that is not set: that is how scripts leave something out.
        if name.startswith(PREFIX)
        and environment[name]
        and name not in COMMAND_LINE
        and not _KUBERNETES.fullmatch(name)
    }


def _merge(into: Values, values: Values) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[str(key)] = dict(value) if isinstance(value, dict) else value


def _put(values: Values, key: Key, value: Any) -> None:
    for part in key[:-1]:
        below = values.get(part)
        if not isinstance(below, dict):
            below = values[part] = {}
        values = below
    values[key[-1]] = value


def _explain(error: ValidationError, document: Document | None, origins: Mapping[Key, str]) -> Invalid:
    problems = [
        (f"{_origin(key, document, origins)}: {message}", hint) for key, message, hint in problems_of(error, Settings)
    ]
    if len(problems) == 1:
        return Invalid("bad_settings", *problems[0])
    lines = [f"{message} ({hint})" for message, hint in problems]
    return Invalid("bad_settings", "\n".join(lines), f"mend these {len(lines)} settings")


def _origin(key: Key, document: Document | None, origins: Mapping[Key, str]) -> str:
    for set_key, origin in origins.items():
        if set_key[: len(key)] == key or key[: len(set_key)] == set_key:
            return origin
    return document.where(key) if document is not None else "settings"
