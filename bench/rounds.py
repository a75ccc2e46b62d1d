"""Rounds: in each, every scenario is measured on every peer in turn, so that a slow minute is slow for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench import machine
from bench.peers import NO_PROXY, Peer
from bench.processes import NotAvailable
from bench.scenarios import Bench, Cell, Scenario
from bench.site import Site, free_ports, make_certificate

Say = Callable[[str], None]


class Results:
    """Cells by scenario, peer and round, and why some are missing."""

    def __init__(self, scenarios: Sequence[Scenario], peers: Sequence[Peer], rounds: int) -> None:
        self.scenarios, self.peers, self.rounds = scenarios, peers, rounds
        self._cells: dict[tuple[Scenario, Peer], dict[int, Cell]] = {}
        self.missing: dict[tuple[Scenario, Peer], str] = {}

    def add(self, scenario: Scenario, peer: Peer, number: int, cell: Cell) -> None:
        """Keep what one measurement gave."""
        self._cells.setdefault((scenario, peer), {})[number] = cell

    def discard(self, scenario: Scenario, peer: Peer, why: str) -> None:
        """Show no figure of a peer, not even of earlier rounds."""
        self._cells.pop((scenario, peer), None)
        self.missing[scenario, peer] = f"left out: {why}"

    def given_up(self, scenario: Scenario, peer: Peer) -> bool:
        """Whether there is no point in measuring a peer again; one failure after a success may be an accident."""
        return (scenario, peer) in self.missing and not self.cells(scenario, peer)

    def cells(self, scenario: Scenario, peer: Peer) -> list[Cell]:
        """Of all rounds; none where the peer was not measured."""
        return list(self._cells.get((scenario, peer), {}).values())

    def rows(self, scenario: Scenario) -> list[tuple[Peer, list[Cell]]]:
        """The peers that were measured."""
        return [(peer, cells) for peer in self.peers if (cells := self.cells(scenario, peer))]

    def ratios(self, scenario: Scenario, ours: Peer, peer: Peer) -> list[float]:
        """Our speed as a multiple of the peer's, within each round."""
        mine, theirs = (self._cells.get((scenario, one), {}) for one in (ours, peer))
        return [mine[number].speed / theirs[number].speed for number in mine if number in theirs]

    def others(self) -> tuple[float, float]:
        """Share of the cores' time that went to other programs: median and worst of all cells."""
        shares = [cell.others for cells in self._cells.values() for cell in cells.values()]
        return (median(shares), max(shares)) if shares else (0, 0)


def measure_all(bench: Bench, results: Results, directory: Path, say: Say) -> None:
    """Fill the results.

    Raises:
        machine.Misleading: connections are tracked.
    """
    sites = _Sites(directory)
    _check_tracking(bench, sites)
    for number in range(results.rounds):
        for scenario in results.scenarios:
            for peer in _in_turn(results.peers, number):
                if scenario.service not in peer.offers or results.given_up(scenario, peer):
                    continue
                say(f"round {number + 1} of {results.rounds}  {scenario.name:16} {peer.name}")
                _measure(bench, results, scenario, peer, number, sites.site(peer, scenario))


def _in_turn(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Another one is first in every round."""
    first = number % len(peers)
    return [*peers[first:], *peers[:first]]


def _measure(bench: Bench, results: Results, scenario: Scenario, peer: Peer, number: int, site: Site) -> None:
    tracked = machine.tracked_connections()
    try:
        results.add(scenario, peer, number, bench.measure(scenario, peer, site))
    except NotAvailable as reason:
        results.missing[scenario, peer] = f"not available: {reason}" + (f" (in round {number + 1})" if number else "")
    except machine.Misleading as reason:
        results.discard(scenario, peer, str(reason))
    machine.refuse_tracking(tracked)


def _check_tracking(bench: Bench, sites: _Sites) -> None:
    """Once without a proxy, before the long run."""
    tracked = machine.tracked_connections()
    rate = Scenario("rate", "socks5")
    bench.measure(rate, NO_PROXY, sites.site(NO_PROXY, rate))
    machine.refuse_tracking(tracked)


class _Sites:
    """Where each peer runs: a directory for each, and ports never used before."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._certificate, self._key = make_certificate(directory)
        self._ports = free_ports()
        self._prepared: set[Peer] = set()

    def site(self, peer: Peer, scenario: Scenario) -> Site:
        """A place for one measurement; prepares the peer if this is its first."""
        directory = self._directory / peer.name.replace(" ", "-")
        directory.mkdir(exist_ok=True)
        ports = next(self._ports), next(self._ports)
        site = Site(directory, *ports, scenario.service, self._certificate, self._key)
        if peer.prepare and peer not in self._prepared:
            peer.prepare(site)
            self._prepared.add(peer)
        return site
