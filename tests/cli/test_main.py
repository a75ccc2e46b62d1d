import subprocess
import sys

import pytest

from vpn import __version__
from vpn.cli.main import make_app, to_front


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["users", "list", "--format", "json"], ["--format", "json", "users", "list"]),
        (["users", "list", "--format=json", "--verbose"], ["--format=json", "--verbose", "users", "list"]),
        (["users", "add", "x", "--note", "n"], ["users", "add", "x", "--note", "n"]),
        (["users", "show", "--", "--format"], ["users", "show", "--", "--format"]),
        (["users", "list", "--format"], ["users", "list", "--format"]),
        (["users", "list", "--format", "clash"], ["--format", "clash", "users", "list"]),
        (["users", "link", "x", "--format", "clash"], ["users", "link", "x", "--format", "clash"]),
        (["users", "link", "--format=Clash", "x"], ["users", "link", "--format=Clash", "x"]),
        (["users", "link", "x", "--format=json"], ["--format=json", "users", "link", "x"]),
        ([], []),
    ],
)
def test_global_options_may_stand_anywhere(given, ordered):
    assert to_front(given) == ordered


def test_a_command_needs_no_more_than_itself():
    def names(app):
        return {each.name for each in (*app.registered_commands, *app.registered_groups)}

    assert names(make_app("version")) == {"version"}
    assert names(make_app("users")) == {"users"}
    assert names(make_app("nonsense")) == names(make_app()) > {"serve", "status", "policy"}


@pytest.mark.parametrize("arguments", [("--format", "users", "version"), ("version", "--format", "users")])
def test_what_looks_like_a_command_and_is_a_value_is_none(vpn, arguments):
    assert "'users' is not one of" in vpn(*arguments).err


def test_help_and_mistakes(vpn):
    for word in ("serve", "status", "version", "users", "groups", "policy", "bans"):
        assert word in vpn("--help").out
    assert vpn("nonsense").code == 2
    assert vpn("users", "list", "--format", "xml").code == 2


def test_an_interrupt_is_no_defect(vpn, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("vpn.cli.context.Context.client", interrupted)
    result = vpn("users", "list")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_version(vpn):
    assert vpn("version").out == f"vpn-manager {__version__}\n"
    assert vpn("version", "--format", "plain").out == f"version\t{__version__}\n"


def test_starting_imports_nothing_heavy():
    heavy = "{'msgspec', 'pydantic', 'asyncio', 'sqlalchemy', 'httpx', 'argon2', 'csv', 'ruamel.yaml'}"
    made = "typer.main.get_command(m.make_app())"
    code = f"import sys, typer.main, vpn.cli.main as m; {made}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
