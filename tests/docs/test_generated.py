import re
from pathlib import Path

import pytest

from docs.generate import DOCS, pages

ROOT = DOCS.parent


@pytest.mark.parametrize("name", list(pages()))
def test_pages_that_come_from_the_code_are_up_to_date(name):
    assert (DOCS / name).read_text() == pages()[name], "run: make docs"


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [each for extra in project["optional-dependencies"].values() for each in extra]
    names = {re.match(r"[a-z0-9-]+", each)[0] for each in wanted}
    explained = set(re.findall(r"^\| `([a-z0-9-]+)", (DOCS / "dependencies.md").read_text(), re.MULTILINE))
    assert names <= explained


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_lock_files_hold_hashes_and_no_addresses():
    for path in (ROOT / "requirements").iterdir():
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_the_architecture_names_every_room():
    text = (DOCS / "architecture.md").read_text()
    rooms = [path.name for path in Path(ROOT / "src/vpn").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [room for room in rooms if f"`{room}/`" not in text] == []
