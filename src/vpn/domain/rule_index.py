"""Rules by what they match, so that a decision looks at few of them.

A rule is known here by its rank alone, a small number: of all the rules that match, the one of the lowest rank
decides. Rules are found by destination: an address by one look into a dict per length of prefix that occurs, a
name by one per suffix that it has. What is found there, a *bucket*, holds for each holder (a user or a group) a
*slot*: the ranks of the rules of that holder that match there, by port (vpn.domain.rule_slot).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vpn.domain.destination import COUNTRY, DestinationPattern
from vpn.domain.network import Network
from vpn.domain.rule_slot import Entry, Slot, make_slot

Bucket = dict[int, Slot]
"""Slots by the number of the holder."""
Country = Callable[[bytes], str]
"""From 4 or 16 address bytes to the code of the country, in capitals; empty: not known."""

_MAPPED = bytes(10) + b"\xff\xff"
_MAPPED_NUMBER = 0xFFFF


def plain_address(packed: bytes) -> bytes:
    """The address that is meant: an IPv4 address mapped into IPv6 is itself."""
    return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed


def plain_network(network: Network) -> Network:
    """The same for a network, if all of it is mapped."""
    prefix, shift, bits = network
    if bits == 128 and shift <= 32 and prefix >> (32 - shift) == _MAPPED_NUMBER:
        return Network(prefix & ((1 << (32 - shift)) - 1), shift, 32)
    return network


class Index:
    """All rules of a policy by destination. Rules are added, and it is sealed; then they are found."""

    def __init__(self) -> None:
        self._anywhere: Bucket = {}
        self._named: dict[str, dict[str | int, Bucket]] = {}
        self._networks: dict[int, dict[int, dict[int, Bucket]]] = {4: {}, 16: {}}
        self._countries: dict[str, Bucket] = {}
        # Until it is sealed the buckets hold lists of entries.
        self._filling: list[dict[int, Any]] = [self._anywhere]

    def add(self, pattern: DestinationPattern, holder: int, entry: Entry) -> None:
        """A rule of a holder matches these destinations, at these ports."""
        for bucket in self._buckets(pattern):
            bucket.setdefault(holder, []).append(entry)

    def seal(self, none: int) -> None:
        """Nothing more will be added. `none` is the rank of no rule, higher than all others."""
        for bucket in self._filling:
            for holder, entries in bucket.items():
                bucket[holder] = make_slot(entries, none)
        self._filling = []

    def find(self, host: str, packed: bytes | None, country: Country | None) -> list[Bucket]:
        """The buckets of a destination: what matches its name, and what matches its address.

        Args:
            host: the name, in the form in which names are compared; empty: there is none.
            packed: the bytes of the plain address; None: not known.
            country: tells countries; asked only if there are rules on them.
        """
        found = [self._anywhere] if self._anywhere else []
        if host:
            self._find_name(host, found)
        if packed is not None:
            number = int.from_bytes(packed, "big")
            for shift, prefixes in self._networks[len(packed)].items():
                bucket = prefixes.get(number >> shift)
                if bucket is not None:
                    found.append(bucket)
            if self._countries and country is not None and (bucket := self._countries.get(country(packed))):
                found.append(bucket)
        return found

    def _find_name(self, host: str, found: list[Bucket]) -> None:
        named = self._named
        node = named.get(host)
        if node is not None and "" in node:
            found.append(node[""])
        dot, labels = host.find("."), 1
        while dot >= 0:
            node = named.get(host[dot + 1 :])
            if node is not None:
                if "**." in node:
                    found.append(node["**."])
                if labels in node:
                    found.append(node[labels])
            dot, labels = host.find(".", dot + 1), labels + 1

    def _buckets(self, pattern: DestinationPattern) -> list[dict[int, Any]]:
        """Where a pattern is kept. A name is kept with how it is matched: by as many labels more, or by any number."""
        network, kind, name, _, _ = pattern
        if network is not None:
            prefix, shift, bits = plain_network(network)
            return [self._bucket(self._networks[bits // 8].setdefault(shift, {}), prefix)]
        if kind == "*":
            return [self._anywhere]
        if kind == COUNTRY:
            return [self._bucket(self._countries, name)]
        node = self._named.setdefault(name, {})
        if kind == ".":
            return [self._bucket(node, ""), self._bucket(node, "**.")]
        return [self._bucket(node, kind if kind in ("", "**.") else pattern.labels)]

    def _bucket(self, among: dict[Any, Bucket], key: str | int) -> dict[int, Any]:
        bucket = among.get(key)
        if bucket is None:
            bucket = among[key] = {}
            self._filling.append(bucket)
        return bucket
