"""What pydantic finds wrong, in words for a person: one wording for settings and for inbounds that are managed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from vpn.settings.values import Section, section_in

Key = tuple[str, ...]
_SHOWN = 80  # characters of a value


class Problem(NamedTuple):
    """One thing that is wrong."""

    key: Key
    """Where, from the section that was looked at; empty: there itself."""
    message: str
    hint: str


def problems_of(error: ValidationError, model: type[Section]) -> list[Problem]:
    """All that is wrong with a section."""
    problems = []
    for found in error.errors(include_url=False):
        key = tuple(str(part) for part in found["loc"])
        name = ".".join(key)
        if found["type"] == "extra_forbidden":
            message, hint = f"there is no setting {name[:_SHOWN]}", _meant(model, key)
        elif found["type"] == "missing":
            message, hint = f"{name} is needed", "say it as well"
        elif not key:
            message, hint = "these settings do not fit together", f"expected {_expectation(found['msg'])}"
        else:
            value = found["input"]
            shown = "this value" if _is_secret(key, value) else repr(str(value)[:_SHOWN])
            message, hint = f"{name} cannot be {shown}", f"expected {_expectation(found['msg'])}"
        problems.append(Problem(key, message, hint))
    return problems


def _is_secret(key: Key, value: Any) -> bool:
    """Whether a value may hold a password, and is not repeated: URLs do, and groups of settings may."""
    if (
        key[0] == "database"
        or key[-1] in ("password", "headers", "endpoint")
        or isinstance(value, (dict, list, BaseModel))
    ):
        return True
    # Where an upstream is described, a URL may have been written, with the password in it.
    return key[:2] == ("proxy", "upstreams") and key[-1] not in ("protocol", "resolve", "via")


def _expectation(message: str) -> str:
    """Pydantic's sentence, cut down to what it expects."""
    expected = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return expected.partition(", unable to")[0].replace("a valid dictionary or instance of", "keys and values of")


def _meant(model: type[Section], key: Sequence[str]) -> str:
    """What could have been meant by a key that there is not: one of the section that it stands in."""
    for part in key[:-1]:
        field = model.model_fields.get(part)  # None: a name or number below a setting that has several sections
        model = (section_in(field.annotation) if field is not None else None) or model
    known = list(model.model_fields)
    near = difflib.get_close_matches(key[-1], known, n=1)
    return f"did you mean {'.'.join((*key[:-1], near[0]))}?" if near else f"known are {', '.join(known)}"
