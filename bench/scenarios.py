"""What is measured: one load on one proxy, which is started for it alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench import generator, machine, processes
from bench.generator import Outcome, Target
from bench.peers import NO_PROXY, Peer
from bench.processes import NotAvailable
from bench.site import HOST, PASSWORD, USER, Site

WARM_UP_SECONDS = 0.5
WARM_UPS = 20
"""At most, until something has come through."""
SATURATED = 0.95
"""A load generator, or target, this busy may be what was measured."""


@dataclass(frozen=True)
class Scenario:
    """One table of the report."""

    kind: str
    """rate, bulk, hold or udp."""
    service: str
    """What clients speak: socks5, socks5-tls, http, http-tls; udp is SOCKS5 too."""

    @property
    def name(self) -> str:
        """What it is selected by, e.g. rate-socks5-tls."""
        return "udp" if self.kind == "udp" else f"{self.kind}-{self.service}"


SCENARIOS = (
    *(Scenario(kind, service) for service in ("socks5", "http") for kind in ("rate", "bulk", "hold")),
    Scenario("udp", "udp"),
    *(Scenario(kind, service) for service in ("socks5-tls", "http-tls") for kind in ("rate", "bulk", "hold")),
)


@dataclass(frozen=True)
class Extent:
    """How much of each load."""

    seconds: float
    tunnels: int
    """Held by `hold`."""

    def arguments(self, kind: str) -> list[str]:
        """What the load generator is told."""
        clients, in_flight = {"rate": (64, 64), "bulk": (4, 64), "hold": (self.tunnels, 64), "udp": (4, 32)}[kind]
        return ["--clients", str(clients), "--in-flight", str(in_flight)]


@dataclass
class Cell:
    """What one measurement gave."""

    speed: float = 0
    """Per second: connections, bytes, echoes or datagrams."""
    figures: dict[str, float] = field(default_factory=dict)
    errors: int = 0
    bounded: bool = False
    """The load generator or the target had no more to give."""
    others: float = 0
    """Share of all cores' time that went to neither proxy, load nor target."""
    first_failure: str = ""


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    program: Path
    target: Target
    extent: Extent

    def measure(self, scenario: Scenario, peer: Peer, site: Site) -> Cell:
        """Start a proxy, warm it up, load it, and end it.

        Raises:
            NotAvailable: it does not offer this.
            machine.Misleading: bytes arrived changed.
        """
        if peer is NO_PROXY:
            return self._load(scenario, ["--via", "direct"], None)
        command = peer.command(site)
        via = ["--via", site.protocol, "--proxy", f"{HOST}:{site.port}"]
        via += ["--user", USER, "--password", PASSWORD] if peer.authenticates else []
        via += ["--tls"] if site.tls else []
        with processes.running(command.arguments, command.env, site.directory, (HOST, site.port)) as process:
            return self._load(scenario, via, process)

    def _load(self, scenario: Scenario, via: list[str], proxy: int | None) -> Cell:
        port = {"bulk": self.target.source, "udp": self.target.udp}.get(scenario.kind, self.target.echo)
        words = ["--target", f"{self.target.host}:{port}", *via]
        self._warm_up([scenario.kind, *words, *Extent(0, 64).arguments(scenario.kind)])
        memory = {"idle": processes.memory_bytes(proxy) if proxy else 0}

        def look() -> None:
            memory["loaded"] = processes.memory_bytes(proxy) if proxy else 0

        watch = _Watch(self.target.process, proxy)
        arguments = [scenario.kind, *words, *self.extent.arguments(scenario.kind)]
        outcome = generator.run(self.program, arguments, self.extent.seconds, look)
        cell = _cell(scenario, outcome)
        watch.tell(cell, outcome)
        if proxy:
            _add_proxy_figures(cell, scenario, outcome, memory)
        return cell

    def _warm_up(self, arguments: list[str]) -> None:
        """Load it a little, so that its users are known and its workers are up; on a busy machine that takes longer."""
        for _ in range(WARM_UPS):
            outcome = generator.run(self.program, arguments, WARM_UP_SECONDS)
            if outcome.counted["operations"] or outcome.failures > outcome.counted["failures"]["stalled"]:
                break
        _check(outcome)


def _check(outcome: Outcome) -> None:
    """Refuse what says nothing about speed."""
    counted = outcome.counted
    if counted["failures"]["corrupt"]:
        raise machine.Misleading(counted["first_failure"])
    if not counted["operations"]:
        raise NotAvailable(counted["first_failure"] or "nothing came through")


def _cell(scenario: Scenario, outcome: Outcome) -> Cell:
    _check(outcome)
    counted = outcome.counted
    amount = counted["bytes"] if scenario.kind == "bulk" else counted["operations"]
    figures = {name: counted[name] for name in ("p50_us", "p99_us", "opening_seconds")}
    figures["amount"] = amount
    figures["lost"] = counted["lost"] / (counted["operations"] + counted["lost"])
    return Cell(amount / counted["seconds"], figures, outcome.failures, first_failure=counted["first_failure"])


def _add_proxy_figures(cell: Cell, scenario: Scenario, outcome: Outcome, memory: dict[str, int]) -> None:
    cell.figures["cpu_each"] = cell.figures["cpu_seconds"] / max(cell.figures["amount"], 1)
    cell.figures |= {"idle_bytes": memory["idle"], "loaded_bytes": memory["loaded"]}
    if scenario.kind == "hold":
        tunnels = max(outcome.counted["opened"], 1)
        cell.figures["tunnel_bytes"] = (memory["loaded"] - memory["idle"]) / tunnels


class _Watch:
    """Whose the CPU time was, from now on."""

    def __init__(self, target: int, proxy: int | None) -> None:
        self._target, self._proxy = target, proxy
        self._began = self._clocks()

    def _clocks(self) -> tuple[float, float, machine.CPUClock]:
        proxy = processes.cpu_seconds(self._proxy) if self._proxy else 0
        return proxy, processes.cpu_seconds(self._target), machine.cpu_clock()

    def tell(self, cell: Cell, outcome: Outcome) -> None:
        """Add what was seen to the cell."""
        proxy, target, cores = self._clocks()
        proxy, target = proxy - self._began[0], target - self._began[1]
        total, busy = cores.total - self._began[2].total, cores.busy - self._began[2].busy
        cell.figures["cpu_seconds"] = proxy
        cell.others = max(busy - proxy - target - outcome.cpu_seconds, 0) / max(total, 0.01)
        seconds = outcome.counted["seconds"] + outcome.counted["opening_seconds"]
        cell.bounded = max(outcome.cpu_seconds, target) > SATURATED * seconds
