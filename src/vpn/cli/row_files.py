"""Files of users: CSV, JSON and YAML, as rows that the API takes, and back.

Each row carries its line (in JSON its place), by which the API names it when something is wrong with it. What a
value means is read there; here only the shape of the file is.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from vpn.cli.limit_options import LIMITS
from vpn.cli.limit_texts import limit_texts
from vpn.cli.output import Format, csv_text, document_text, looks_like_formula
from vpn.domain.errors import Invalid, Unavailable

LARGEST = 16 * 1024 * 1024  # bytes
_FIELDS = ("name", "password", "password_hash", "note", "enabled", "groups", "first_used_at")
_LIMITS = tuple(option.field for option in LIMITS)
_SUFFIXES = {".csv": Format.CSV, ".json": Format.JSON, ".yaml": Format.YAML, ".yml": Format.YAML}

Rows = list[dict[str, Any]]


def read_file(path: Path) -> Rows:
    """The rows of a file; ``-`` is CSV on standard input.

    Raises:
        Invalid: it is not what its name says, too large, or has columns that are not known.
        Unavailable: it cannot be read.
    """
    standard_input = str(path) == "-"
    format = Format.CSV if standard_input else format_of(path)
    try:
        with sys.stdin.buffer if standard_input else path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable("file_unreadable", f"{path}: {error.strerror}", "name a file that may be read") from None
    if len(content) > LARGEST:
        raise _bad(path, None, f"larger than {LARGEST} bytes", "import it in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, None, f"byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    return {Format.CSV: _read_csv, Format.JSON: _read_json, Format.YAML: _read_yaml}[format](path, text)


def format_of(path: Path) -> Format:
    """The format that a file's name says.

    Raises:
        Invalid: none of ours.
    """
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise _bad(
            path, None, f"{path.suffix or 'no suffix'} is no known format", "name it .csv, .json or .yaml"
        ) from None


def text_of(rows: Rows, format: Format) -> str:
    """Rows as a file has them."""
    if format is not Format.CSV:
        return document_text(rows, format) + "\n"
    flat = [row | {"enabled": "yes" if row["enabled"] else "no"} | limit_texts(row["limits"]) for row in rows]
    used = [column for column in (*_FIELDS, *_LIMITS) if any(row.get(column) for row in flat)]
    return csv_text(flat, used or ["name"]) + "\n"


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read.

    Raises:
        Unavailable: it cannot be written.
    """
    try:
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        raise Unavailable("file_unwritable", f"{path}: {error.strerror}", "name a place with space") from None


def _read_csv(path: Path, text: str) -> Rows:
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    rows: Rows = []
    columns: list[str] = []
    line = 0
    try:
        for cells in reader:
            first, line = line + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(path, first, cells)
            elif len(cells) > len(columns):
                raise _bad(
                    path,
                    first,
                    f"{len(cells)} cells, and only {len(columns)} columns",
                    "quote cells that have a separator",
                )
            else:
                rows.append(_row(first, zip(columns, cells, strict=False)))
    except csv.Error as error:
        raise _bad(path, reader.line_num, str(error), "mend the line, or save the file as CSV again") from None
    return rows


def _columns(path: Path, line: int, cells: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower().replace(" ", "_").replace("-", "_") for cell in cells]
    known = (*_FIELDS, *_LIMITS)
    for column in columns:
        if column not in known:
            raise _bad(path, line, f"{column!r} is not a column", f"there are {', '.join(known)}")
        if columns.count(column) > 1:
            raise _bad(path, line, f"the column {column} is there twice", "keep one")
    return columns


def _row(line: int, cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A row of texts; an empty cell says nothing."""
    said = {column: cell if column in ("note", "password") else cell.strip() for column, cell in cells if cell.strip()}
    note = said.get("note", "")
    if note.startswith("'") and looks_like_formula(note):
        said["note"] = note[1:]  # the sign that was put before it, see csv_text
    limits = {column: said.pop(column) for column in _LIMITS if column in said}
    return {"row": line, **said, **({"limits": limits} if limits else {})}


def _read_json(path: Path, text: str) -> Rows:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad(path, error.lineno, error.msg, "mend the file; its suffix says it is JSON") from None
    except (RecursionError, ValueError) as error:
        raise _bad(path, None, type(error).__name__, "mend the file; its suffix says it is JSON") from None
    return _numbered(path, document, None)


def _read_yaml(path: Path, text: str) -> Rows:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    hint = "mend the file; its suffix says it is YAML"
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "not YAML").partition(" with value ")[0]  # which may be a password
        raise _bad(path, line, problem, hint) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise _bad(path, None, str(error).partition("\n")[0] or type(error).__name__, hint) from None
    lines = (
        [document.lc.item(place)[0] + 1 for place in range(len(document))]
        if isinstance(document, CommentedSeq)
        else None
    )
    return _numbered(path, document, lines)


def _numbered(path: Path, document: Any, lines: Sequence[int] | None) -> Rows:
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise _bad(path, None, "not a list of users", "write a list in which each item has a name")
    numbers = lines or range(1, len(document) + 1)
    rows: Rows = []
    for number, row in zip(numbers, document, strict=True):
        # Limits may stand in the row, as in a table, or below the key limits, as an export has them.
        below = row.get("limits") or {}
        limits = {key: row[key] for key in row if key in _LIMITS} if isinstance(below, dict) else {}
        rest = {key: row[key] for key in row if key not in limits}
        rows.append(_plain(rest | {"row": number} | ({"limits": {**below, **limits}} if limits else {})))
    return rows


def _plain(value: Any) -> Any:
    """As JSON has it: YAML knows dates."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _bad(path: Path, line: int | None, problem: str, hint: str) -> Invalid:
    return Invalid("bad_file", f"{path}{f':{line}' if line else ''}: {problem}", hint)
