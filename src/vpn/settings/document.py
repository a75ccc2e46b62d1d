"""Configuration files: YAML, TOML or JSON, with the line on which each key stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vpn.domain.errors import Invalid, Unavailable

LARGEST = 1024 * 1024  # bytes

Values = dict[str, Any]
Key = Sequence[str | int]
"""Names of keys, and places in lists from 0 on."""
FindLine = Callable[[Key], int | None]


class Document:
    """A configuration file that was read: its values, and where they stand."""

    def __init__(self, path: Path, values: Values, find_line: FindLine) -> None:
        self.path = path
        self.values = values
        self._find_line = find_line

    def where(self, key: Key) -> str:
        """``file:line`` of a key, or ``file`` where the line cannot be told."""
        line = self._find_line(key)
        return f"{self.path}:{line}" if line else str(self.path)


def read_document(path: Path, largest: int = LARGEST) -> Document:
    """Read a configuration file, of so many bytes at most.

    Raises:
        Unavailable: it cannot be read.
        Invalid: it is not what its name says, or too large.
    """
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise Invalid(
            "bad_config", f"{path}: {path.suffix or 'no suffix'} is no known format", "name it .yaml, .toml or .json"
        )
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise Unavailable(
            "config_unreadable", f"{path}: {error.strerror}", "name a file that exists and may be read"
        ) from None
    if len(content) > largest:
        raise Invalid("bad_config", f"{path}: larger than {largest} bytes", "is this the right file?")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Invalid("bad_config", f"{path}: byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    try:
        values, find_line = parse(path, text)
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise _syntax(path, 1, what) from None
    if not isinstance(values, dict):
        raise Invalid("bad_config", f"{path}: not a set of keys and values", "begin with a key such as proxy:")
    return Document(path, values, find_line)


def _parse_yaml(path: Path, text: str) -> tuple[Any, FindLine]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe").load(text)  # in C, and several times as fast as one that knows lines
    except (YAMLError, ValueError):
        values = _parse_yaml_with_lines(path, text)  # which has better words for what is wrong
    lines: list[Any] = []

    def find_line(key: Key) -> int | None:
        if not lines:
            lines.append(_parse_yaml_with_lines(path, text))
        return _line_in(lines[0], key)

    return ({} if values is None else values), find_line


def _parse_yaml_with_lines(path: Path, text: str) -> Any:
    """The values as ruamel's own lists and mappings."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "not YAML"
        raise _syntax(path, line, problem.partition(" with value ")[0]) from None  # which may be a password
    except YAMLError as error:
        raise _syntax(path, 1, str(error).splitlines()[0]) from None


def _line_in(node: Any, key: Key) -> int | None:
    line = None
    for part in key:
        if isinstance(node, list) and str(part).isdecimal() and int(part) < len(node):
            line = node.lc.item(int(part))[0] + 1  # type: ignore[attr-defined] # they are ruamel's own
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            line = node.lc.key(part)[0] + 1  # type: ignore[attr-defined]
            node = node[part]
        else:
            return line
    return line


def _parse_toml(path: Path, text: str) -> tuple[Any, FindLine]:
    import tomllib

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise _syntax(path, int(line[1]) if line else text.count("\n") + 1, str(error).partition(" (at")[0]) from None

    def find_line(key: Key) -> int | None:
        wanted, best, line_of_best = tuple(map(str, key)), 0, None
        for place, line in _toml_places(text):
            if len(place) > best and wanted[: len(place)] == place:
                best, line_of_best = len(place), line
        return line_of_best

    return values, find_line


def _toml_places(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Where tables, and keys in them, stand; tables of a list are told apart by their number."""
    numbers: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for line, content in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)([^\[\]]+)\]", content):
            table = ()
            parts = _toml_parts(header[2])
            for depth, part in enumerate(parts, 1):
                table += (part,)
                if header[1] == "[[" and depth == len(parts):
                    numbers[table] = numbers.get(table, -1) + 1
                if table in numbers:
                    table += (str(numbers[table]),)
            yield table, line
        elif entry := re.match(r"\s*([^=#]+?)\s*=", content):
            yield table + tuple(_toml_parts(entry[1])), line


def _toml_parts(name: str) -> list[str]:
    return [part.strip(" \"'") for part in name.split(".")]


def _parse_json(path: Path, text: str) -> tuple[Any, FindLine]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise _syntax(path, error.lineno, error.msg) from None

    def find_line(key: Key) -> int | None:
        position = 0
        for part in key:
            if isinstance(part, int):  # nearer than to the list it cannot be told
                break
            found = re.compile(re.escape(json.dumps(part)) + r"\s*:").search(text, position)
            if found is None:
                return None
            position = found.start()
        return text.count("\n", 0, position) + 1

    return values, find_line


def _syntax(path: Path, line: int, problem: str) -> Invalid:
    return Invalid("bad_config", f"{path}:{line}: {problem}", f"mend the file; its suffix says it is {path.suffix[1:]}")


_PARSERS: dict[str, Callable[[Path, str], tuple[Any, FindLine]]] = {
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".toml": _parse_toml,
    ".json": _parse_json,
}
