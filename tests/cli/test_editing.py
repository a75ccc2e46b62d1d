import stat
import sys

import pytest

from vpn.cli import editing
from vpn.cli.editing import edit_until_right, read_policy
from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.policy_document import parse_policy

# What an editor does: it is called with the file, and leaves another text in it.
_EDITOR = """\
import pathlib, sys
path = pathlib.Path(sys.argv[1])
log = pathlib.Path(__file__).with_suffix(".log")
seen = log.read_text().splitlines() if log.exists() else []
log.write_text("\\n".join([*seen, oct(path.stat().st_mode), oct(path.parent.stat().st_mode)]))
path.write_text(TEXTS[len(seen) // 2])
"""


@pytest.fixture
def editor(tmp_path, monkeypatch):
    script = tmp_path / "editor.py"
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")

    def leaving(*texts):
        script.write_text(f"TEXTS = {texts!r}\n{_EDITOR}")
        return script.with_suffix(".log")

    return leaving


def test_what_is_edited_is_saved(editor):
    log = editor("default: block\n")
    saved = []
    assert edit_until_right("default: allow\n", lambda document: saved.append(document) or {"number": 2}) == {
        "number": 2
    }
    assert [parse_policy(document).default for document in saved] == ["block"]
    file_mode, directory_mode = (int(mode, 8) for mode in log.read_text().split())
    assert (stat.S_IMODE(file_mode), stat.S_IMODE(directory_mode)) == (0o600, 0o700)


def test_a_text_that_is_left_as_it_was_changes_nothing(editor):
    editor("default: allow\n")
    assert edit_until_right("default: allow\n", pytest.fail) is None


def test_what_is_wrong_is_told_and_edited_again(editor, monkeypatch, capsys):
    editor("default: deny\n", "default: block\n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(editing.typer, "confirm", lambda *_, **__: True)
    assert edit_until_right("default: allow\n", lambda document: document) == {
        "default": "block",
        "groups": {},
        "users": {},
    }
    assert ":1: default: 'deny' is no action" in capsys.readouterr().err


def test_without_a_person_what_is_wrong_is_an_error(editor):
    editor("default: deny\n")
    with pytest.raises(Invalid):
        edit_until_right("default: allow\n", pytest.fail)


@pytest.mark.parametrize("command", ["/nowhere/editor", "false", "'"])
def test_an_editor_that_fails_changes_nothing(monkeypatch, command):
    monkeypatch.setenv("VISUAL", command)
    with pytest.raises(Unavailable):
        edit_until_right("default: allow\n", pytest.fail)


def test_a_file_of_the_replaced_product_is_read(tmp_path):
    (tmp_path / "acl.toml").write_text('[global]\ndefault_policy = "allow"\n')
    assert read_policy(tmp_path / "acl.toml")["default"] == "allow"
