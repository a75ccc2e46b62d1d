"""A policy as text: YAML that people read, compare and edit, the same text for the same policy.

It is written by hand here because a library would take seconds for some thousand rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vpn.domain.policy import Policy
from vpn.domain.policy_document import dump_policy

# What YAML takes for text, and for nothing else, without quotes.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9./]+|[0-9]+-[0-9]+")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def policy_text(policy: Policy) -> str:
    """The document of a policy, in YAML."""
    return "".join(f"{line}\n" for line in _lines(dump_policy(policy)))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"default: {document['default']}"
    for kind in ("groups", "users"):
        if document[kind]:
            yield f"{kind}:"
        for name, holder in document[kind].items():
            yield f"  {_text(name)}:" + ("" if holder else " {}")
            if "groups" in holder:
                yield f"    groups: {_list(holder['groups'])}"
            if "rules" in holder:
                yield "    rules:"
                yield from _rules(holder["rules"])


def _rules(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for rule in rules:
        mark = "- "
        for field, value in rule.items():
            yield f"      {mark}{field}: {_list(value) if isinstance(value, list) else _scalar(value)}"
            mark = "  "


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _scalar(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)  # which YAML reads as it is
