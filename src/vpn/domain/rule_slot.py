"""The rules of one holder that match one kind of destination, by port.

Ports and protocols are one axis: TCP's ports are 0 to 65535 on it, UDP's the next 65536. It is cut where the
lowest rank changes, so that the rule that decides for a port is found by bisection, however many rules there are.
Rules that hold only at some hours, or for some sources, stand apart, together with those of the same condition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from heapq import heappop, heappush

UDP = 65536  # where UDP's ports begin on the axis
END = 2 * UDP

Cuts = tuple[tuple[int, ...], tuple[int, ...]]
"""Where on the axis the rank changes, and the ranks: one more, as the first begins at 0."""
Condition = int
"""The number of a condition; 0: none."""
Conditional = tuple[int, Condition, tuple[int, ...], tuple[int, ...]]
"""The lowest rank, the condition, and the cuts of its rules."""
Slot = tuple[tuple[int, ...], tuple[int, ...], tuple[Conditional, ...]]
"""The cuts of the rules without a condition, and those with one, those of lower ranks first."""
Entry = tuple[int, int, int, Condition]
"""The rank of a rule, the first and the last place on the axis, and the condition."""


def lowest_rank(slot: Slot, place: int, rank: int, holds: Callable[[Condition], bool]) -> int:
    """The lowest rank of the rules in a slot that match, or `rank`, if that is lower.

    Args:
        slot: where to look.
        place: the port, on the axis.
        rank: the lowest that was found elsewhere.
        holds: tells whether a condition holds; asked only where it matters.
    """
    bounds, ranks, conditionals = slot
    found = ranks[bisect_right(bounds, place)]
    rank = min(rank, found)
    for lowest, condition, bounds, ranks in conditionals:
        if lowest >= rank:
            break
        found = ranks[bisect_right(bounds, place)]
        if found < rank and holds(condition):
            rank = found
    return rank


def make_slot(entries: list[Entry], none: int) -> Slot:
    """The slot of these rules; `none` is the rank of no rule, higher than all others."""
    if len(entries) == 1 and not entries[0][3]:  # as most are
        rank, first, last, _ = entries[0]
        if first == 0 and last == END - 1:
            return (), (rank,), ()
        return (*_cuts(entries, none), ())
    by_condition: dict[Condition, list[Entry]] = {0: []}
    for entry in entries:
        by_condition.setdefault(entry[3], []).append(entry)
    plain = by_condition.pop(0)
    conditionals = [(min(each)[0], condition, *_cuts(each, none)) for condition, each in by_condition.items()]
    return (*_cuts(plain, none), tuple(sorted(conditionals)))


def _cuts(entries: list[Entry], none: int) -> Cuts:
    """The lowest rank for each place on the axis."""
    waiting = sorted(entries, key=lambda entry: entry[1], reverse=True)
    under_way: list[tuple[int, int]] = []  # rank and last place, the lowest rank first
    bounds: list[int] = []
    ranks = [none]
    for place in sorted({each for _, first, last, _ in entries for each in (first, last + 1)}):
        while waiting and waiting[-1][1] == place:
            rank, _, last, _ = waiting.pop()
            heappush(under_way, (rank, last))
        while under_way and under_way[0][1] < place:
            heappop(under_way)
        rank = under_way[0][0] if under_way else none
        if place == 0:
            ranks[0] = rank
        elif place < END and rank != ranks[-1]:
            bounds.append(place)
            ranks.append(rank)
    return tuple(bounds), tuple(ranks)
