"""Where things lie unless somebody says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CONFIG_SUFFIXES = (".yaml", ".yml", ".toml", ".json")
SOCKET = "api.sock"
METER = "meter"
JOURNALS = "sessions"
SALTS = "salts"
TOKEN = "api-token"  # noqa: S105 -- the name of a file
KEY = "key"
DATABASE = "vpn.db"
LOCK = "lock"


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """``/var/lib/vpn-manager`` for root, the XDG data directory for everybody else."""
    if os.geteuid() == 0:
        return Path("/var/lib/vpn-manager")
    home = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME", "/")) / ".local/share"
    return Path(home) / "vpn-manager"


def absolute(path: str | Path) -> Path:
    """A path as a person wrote it, ``~`` and all."""
    return Path(path).expanduser().absolute()


def find_config(environment: Mapping[str, str]) -> Path | None:
    """The first configuration file there is: the user's own, then the machine's."""
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/")) / ".config"
    for directory in (Path(home) / "vpn-manager", Path("/etc/vpn-manager")):
        for suffix in CONFIG_SUFFIXES:
            path = directory / f"config{suffix}"
            try:
                if path.is_file():
                    return path
            except PermissionError:  # somebody else's home, with sudo
                continue
    return None
