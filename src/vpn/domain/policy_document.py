"""The policy as a document: reading one that somebody wrote, and writing it down again.

Our own form::

    default: block                        # what happens to what no rule fits; block, if left out
    groups:
      staff:
        rules:
          - action: allow
            description: the intranet
            destinations: [.example.com, 10.0.0.0/8, "country:DE"]
            ports: [443, 8000-9000]
            protocols: tcp                # tcp, udp, both
            sources: [192.0.2.0/24]
            hours: [mon-fri 08:00-18:00]
            timezone: Europe/Berlin
            priority: 10
            enabled: true
    users:
      alice:
        groups: [staff]
        rules: []

And that of RustSocks, which is told apart by its tables: ``[global] default_policy``, ``[[users]]`` with
``username``, ``groups`` and ``rules``, ``[[groups]]`` with ``name`` and ``rules``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from vpn.domain.errors import Invalid
from vpn.domain.policy import Action, GroupRules, Policy, Rule, UserRules
from vpn.domain.rule_fields import read_action, read_group_names, read_name, readers, shown
from vpn.domain.user import NAME_LIMIT, canonical

MOST_RULES = 20_000
MOST_PROBLEMS = 20  # that are told at once

Key = tuple[str | int, ...]
Where = Callable[[Key], str]
"""Where in a file a key stands, e.g. ``policy.yaml:12``; empty: there is no file."""


def parse_policy(values: Mapping[str, Any], where: Where = lambda key: "", *, countries: bool = True) -> Policy:
    """Make a policy from a document that was read.

    Args:
        values: the document.
        where: finds keys in the file.
        countries: whether there is a file that tells countries; without one they are errors.

    Raises:
        Invalid: something in it is wrong; up to twenty such things are told, each with its key.
    """
    reading = _Reading(countries)
    policy = reading.policy(values)
    if not reading.problems:
        return policy
    told = [(_placed(key, where, error.message), error.hint) for key, error in reading.problems[:MOST_PROBLEMS]]
    if len(told) == 1:
        raise Invalid("bad_policy", *told[0])
    lines = [f"{message} ({hint})" for message, hint in told]
    more = len(reading.problems) - len(told)
    raise Invalid(
        "bad_policy", "\n".join(lines), f"mend these {len(told)} places" + (f", and {more} more" if more else "")
    )


def dump_policy(policy: Policy) -> dict[str, Any]:
    """The document of a policy, in our own form: what `parse_policy` makes the same policy from."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(policy))
    return document


def _placed(key: Key, where: Where, message: str) -> str:
    place = where(key)
    return ": ".join(each for each in (place, ".".join(map(str, key)), message) if each)


class _Reading:
    """One document being read: what is wrong is collected, with its key."""

    def __init__(self, countries: bool) -> None:
        self.problems: list[tuple[Key, Invalid]] = []
        self._count = 0
        self._fields = readers(countries)

    def policy(self, values: Mapping[str, Any]) -> Policy:
        """The policy; worth something only if there are no problems."""
        theirs = "global" in values or isinstance(values.get("users"), list) or isinstance(values.get("groups"), list)
        if not values:
            self._wrong((), "the document says nothing", "begin with default: allow, or default: block")
        return self._of_rustsocks(values) if theirs else self._ours(values)

    def _ours(self, values: Mapping[str, Any]) -> Policy:
        document = self._table(values, (), ("default", "groups", "users"))
        default = self._default(document, ("default",))
        groups: dict[str, GroupRules] = {}
        for name, given in self._entries(document.get("groups"), ("groups",)):
            self._group(groups, name, given, ("groups", name))
        users: dict[str, UserRules] = {}
        for name, given in self._entries(document.get("users"), ("users",)):
            self._user(users, name, given, ("users", name))
        return Policy(default=default, groups=groups, users=users)

    def _of_rustsocks(self, values: Mapping[str, Any]) -> Policy:
        document = self._table(values, (), ("global", "groups", "users"))
        general = self._table(document.get("global"), ("global",), ("default_policy",))
        default = self._default(general, ("global", "default_policy"))
        groups: dict[str, GroupRules] = {}
        for index, given in enumerate(self._list(document.get("groups"), ("groups",))):
            name, rest = self._named(given, "name", ("groups", index))
            self._group(groups, name, rest, ("groups", index))
        users: dict[str, UserRules] = {}
        for index, given in enumerate(self._list(document.get("users"), ("users",))):
            name, rest = self._named(given, "username", ("users", index))
            self._user(users, name, rest, ("users", index))
        return Policy(default=default, groups=groups, users=users)

    def _default(self, table: Mapping[str, Any], key: Key) -> Action:
        given = table.get(str(key[-1]))
        return "block" if given is None else self._field(key, read_action, given, "block")

    def _named(self, given: Any, field: str, key: Key) -> tuple[Any, Any]:
        """The name within a table, and the rest of the table."""
        if not isinstance(given, Mapping) or field not in given:
            self._wrong(key, "this is no table with a name", f"give it a {field}")
            return None, {}
        return given[field], {name: value for name, value in given.items() if name != field}

    def _group(self, into: dict[str, GroupRules], name: Any, given: Any, key: Key) -> None:
        name = self._name(name, key, into)
        table = self._table(given, key, ("rules",))
        into[name] = GroupRules(self._rules(table.get("rules"), (*key, "rules")))

    def _user(self, into: dict[str, UserRules], name: Any, given: Any, key: Key) -> None:
        name = self._name(name, key, into)
        table = self._table(given, key, ("groups", "rules"))
        groups = self._field((*key, "groups"), read_group_names, table.get("groups") or [], ())
        rules = self._rules(table.get("rules"), (*key, "rules"))
        into[name] = UserRules(tuple(dict.fromkeys(canonical(group) for group in groups)), rules)

    def _name(self, name: Any, key: Key, taken: Mapping[str, object]) -> str:
        found = canonical(self._field(key, read_name, name, ""))
        if found and found in taken:
            self._wrong(key, f"{found} is there twice", "names are compared without regard to case: make it one")
        return found

    def _rules(self, given: Any, key: Key) -> tuple[Rule, ...]:
        rules = [self._rule(each, (*key, index)) for index, each in enumerate(self._list(given, key))]
        before, self._count = self._count, self._count + len(rules)
        if before <= MOST_RULES < self._count:
            self._wrong(key, f"these are more than {MOST_RULES} rules in all", "put destinations of one kind together")
        return tuple(rules)

    def _rule(self, given: Any, key: Key) -> Rule:
        table = self._table(given, key, tuple(self._fields))
        said = {name: value for name, value in table.items() if value is not None}
        values = {name: self._field((*key, name), self._fields[name], value) for name, value in said.items()}
        if "action" not in values:
            self._wrong(key, "this rule has no action", "give it one: allow or block")
        return Rule(**{"action": "block"} | {name: value for name, value in values.items() if value is not None})

    def _field(self, key: Key, read: Callable[[Any], Any], value: Any, otherwise: Any = None) -> Any:
        try:
            return read(value)
        except Invalid as error:
            self.problems.append((key, error))
            return otherwise

    def _table(self, given: Any, key: Key, known: tuple[str, ...]) -> Mapping[str, Any]:
        """A set of keys and values, without those that nobody knows; nothing at all is an empty one."""
        found = dict(self._entries(given, key))
        for name in [name for name in found if name not in known]:
            del found[name]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            self._wrong((*key, name[:NAME_LIMIT]), "there is no such key", hint)
        return found

    def _entries(self, given: Any, key: Key) -> list[tuple[str, Any]]:
        if given is None:
            return []
        if not isinstance(given, Mapping):
            self._wrong(key, f"{shown(given)} is no set of keys and values", "write it as in: vpn policy show")
            return []
        return [(str(name), value) for name, value in given.items()]

    def _list(self, given: Any, key: Key) -> list[Any]:
        if given is None or isinstance(given, list):
            return given or []
        self._wrong(key, f"{shown(given)} is no list", "write it as in: vpn policy show")
        return []

    def _wrong(self, key: Key, message: str, hint: str) -> None:
        self.problems.append((key, Invalid("bad_policy", message, hint)))
