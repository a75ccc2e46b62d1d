"""Results in the format that was asked for: a table for people, the others for programs.

The table is drawn here and not by a library: importing one costs more than the rest of a command.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from vpn.domain.errors import Unavailable

Row = Mapping[str, Any]


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    PLAIN = "plain"
    CSV = "csv"


class Output:
    """Writes results to standard output."""

    def __init__(self, format: Format) -> None:
        self.format = format

    @property
    def for_people(self) -> bool:
        """Whether sentences are welcome, or only data."""
        return self.format is Format.TABLE

    def rows(self, rows: Iterable[Row], columns: Sequence[str], *, empty: str) -> None:
        """A list of things. `empty` is said to people when there are none."""
        found = list(rows)
        if self.format is Format.TABLE and not found:
            write(empty)
        elif self.format is Format.TABLE:
            write(_table(found, columns))
        elif self.format is Format.PLAIN:
            for row in found:
                write("\t".join(one_line(row[column]) for column in columns))
        elif self.format is Format.CSV:
            write(csv_text(found, columns))
        else:
            self._document([dict(row) for row in found])

    def stream(self, rows: Iterable[Row]) -> None:
        """Things that come one after the other, each written at once: JSON in a line, a document of YAML, or a row.

        All rows have the columns of the first.
        """
        columns: list[str] = []
        for row in rows:
            if self.format is Format.JSON:
                write(json.dumps(row, ensure_ascii=False))
                continue
            if self.format is Format.YAML:
                write(f"---\n{document_text(dict(row), self.format)}")
                continue
            flat = dict(_flat(row))
            if self.format is Format.CSV:
                text = csv_text([flat], columns or list(flat))
                write(text.partition("\n")[2] if columns else text)
            else:
                write("\t".join(one_line(_text(flat.get(column))) for column in columns or flat))
            columns = columns or list(flat)

    def record(self, record: Row) -> None:
        """One thing."""
        if self.format is Format.TABLE:
            width = max(map(len, record))
            for name, value in record.items():
                write(f"{name.replace('_', ' '):{width}}  {one_line(value)}".rstrip())
        elif self.format is Format.CSV:
            flat = dict(_flat(record))
            write(csv_text([flat], list(flat)))
        elif self.format is Format.PLAIN:
            for name, value in _flat(record):
                for each in value if isinstance(value, list) else [value]:
                    write(f"{name}\t{one_line(_text(each))}")
        else:
            self._document(dict(record))

    def sentence(self, text: str) -> None:
        """A word on what was done, for people only."""
        if self.for_people:
            write(text)

    def _document(self, data: Any) -> None:
        write(document_text(data, self.format))


def document_text(data: Any, format: Format) -> str:
    """Data as JSON or YAML, without the last end of line."""
    if format is Format.JSON:
        return json.dumps(data, indent=2, ensure_ascii=False)
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 1000
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue().rstrip("\n")


def write(text: str) -> None:
    """Write a line to standard output.

    Raises:
        SystemExit: the reader, such as head, has had enough.
        Unavailable: it cannot be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Nothing more may be written, not even by the interpreter at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        raise Unavailable(
            "output_failed", f"standard output: {error.strerror}", "write to a place with space"
        ) from None


def csv_text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A table with a header, for programs; a list is one cell, with ; between its items.

    What a spreadsheet would take for a formula has a ' before it, and so has what would look like that.
    """
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue().rstrip("\n")


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet might compute a cell, with or without the sign that keeps it from it."""
    return text.lstrip("'")[:1] in ("=", "+", "-", "@", "\t", "\r")


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(str(_text(each)) for each in value)
    text = "" if value is None else value if isinstance(value, str) else one_line(_text(value))
    return f"'{text}" if looks_like_formula(text) else text


def _text(value: Any) -> Any:
    """What is made of parts as JSON; the rest as it is."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list)) else value


def _flat(record: Row) -> Iterator[tuple[str, Any]]:
    """Fields of records within records are named ``limits.down``."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", each) for inner, each in _flat(value))
        else:
            yield name, value


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    cells = [[one_line(row[column]) for column in columns] for row in rows]
    titles = [column.replace("_", " ").upper() for column in columns]
    widths = [max(map(cell_width, column)) for column in zip(titles, *cells, strict=True)]
    if sys.stdout.isatty():
        # The last column gives way on a narrow terminal; the others are what a person looks for.
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = max(min(widths[-1], left), len(titles[-1]))
    lines = [titles, *cells]
    return "\n".join(
        "  ".join(fit(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def curl_line(link: str) -> str:
    """What to paste to try a link."""
    return f"curl -x {link} https://example.com/"


def is_for_apps(link: str) -> bool:
    """Whether a link is one that apps take, and curl does not."""
    return link.startswith("ss://")


def bar(share: float, width: int) -> str:
    """A bar that is full at 1.0."""
    eighths = min(width * 8, max(0, round(share * width * 8)))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def moment(timestamp: str) -> str:
    """A time of the API as a person reads it: in the local time zone, to the minute."""
    from datetime import datetime

    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M")


def one_line(value: Any) -> str:
    """A value as text without control characters: nothing from outside moves the cursor."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))


def cell_width(text: str) -> int:
    """How many terminal cells a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def fit(text: str, width: int) -> str:
    """The text in exactly so many terminal cells."""
    if text.isascii():
        text = text if len(text) <= width else text[: max(0, width - 1)] + "…"
        return text + " " * (width - len(text))
    if cell_width(text) > width:
        while text and cell_width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cell_width(text))
