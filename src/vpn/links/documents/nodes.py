"""What documents are written from: links with the names that people see."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from vpn.links.schemes import Link
from vpn.links.uri import join_place

LONGEST_NAME = 100


class Node(msgspec.Struct, frozen=True):
    """A server as a client lists it."""

    name: str
    link: Link


def named(nodes: Sequence[Node], taken: Collection[str] = ()) -> list[Node]:
    """The same nodes with names that are in one line, not empty, none of `taken`, and each there once.

    The links in them bear those names, too.
    """
    used = {name.casefold() for name in taken}
    found = []
    for node in nodes:
        plain = _one_line(node.name) or join_place(node.link.host, node.link.port)
        name, number = plain, 1
        while name.casefold() in used:
            number += 1
            name = f"{plain} {number}"
        used.add(name.casefold())
        found.append(Node(name, msgspec.structs.replace(node.link, name=name)))
    return found


def _one_line(name: str) -> str:
    # U+200D joins the parts of many emoji; it is not printable, and not to be lost.
    kept = (each if each.isprintable() or each == "\u200d" else " " for each in name)
    return " ".join("".join(kept).split())[:LONGEST_NAME].rstrip()
