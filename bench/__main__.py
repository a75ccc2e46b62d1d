"""``python -m bench``: measure, side by side, and write the results down."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bench import commands, generator, machine, plot, report, rounds
from bench.peers import PEERS, Peer
from bench.scenarios import SCENARIOS, Bench, Extent

COMMANDS = "commands"
BUSY = 0.2
"""Share of the cores' time that other programs may take before the start."""
HERE = Path(__file__).parent


def main() -> None:
    """Measure what the options say."""
    options = _options()
    try:
        results = _measure(options)
    except (machine.Misleading, generator.Unusable) as reason:
        sys.exit(f"bench: {reason}")
    about = _about(options, results.peers)
    text = report.page(results, about, options.tunnels, "results.svg")
    if _selected(options.scenarios, [COMMANDS]):
        _say("commands and start-up")
        text += f"\n## Commands and start-up\n\n{commands.table(commands.measure())}\n"
    _say("")
    options.output.mkdir(exist_ok=True, parents=True)
    (options.output / "RESULTS.md").write_text(text)
    (options.output / "results.svg").write_text(plot.drawing(results))
    print(text)
    print(f"Written to {options.output}: RESULTS.md, results.svg")


def _measure(options: argparse.Namespace) -> rounds.Results:
    names = _selected(options.scenarios, [scenario.name for scenario in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in names]
    chosen = _selected(options.peers, [peer.name for peer in PEERS])
    peers = [peer for peer in PEERS if peer.name in chosen and peer.found]
    results = rounds.Results(scenarios, peers, options.rounds)
    if not scenarios or not peers:
        return results
    machine.raise_file_limit(options.tunnels if any(scenario.kind == "hold" for scenario in scenarios) else 0)
    options.busy = machine.busy_share()
    if options.busy > BUSY and not (options.quick or options.even_if_busy):
        raise machine.Misleading(
            f"The machine is {options.busy:.0%} busy with other things: end those first, or say --even-if-busy."
        )
    program = generator.build()
    with tempfile.TemporaryDirectory(prefix="vpn-bench-") as directory, generator.target(program) as target:
        bench = Bench(program, target, Extent(options.seconds, options.tunnels))
        rounds.measure_all(bench, results, Path(directory), _say)
    return results


def _about(options: argparse.Namespace, peers: Sequence[Peer]) -> dict[str, str]:
    about = {"date": f"{date.today()}", "commit": machine.revision(), **machine.description()}
    about["busy before"] = f"{getattr(options, 'busy', 0):.0%}"
    about["servers"] = "; ".join(
        f"{peer.name} {peer.version_line()}".rstrip() + (f" ({peer.note})" if peer.note else "") for peer in peers
    )
    missing = [peer.name for peer in PEERS if not peer.found]
    if missing:
        about["not installed"] = ", ".join(missing)
    about["extent"] = f"{options.rounds} rounds of {options.seconds:g} s, {options.tunnels:,} tunnels held"
    return about


def _selected(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _say(what: str) -> None:
    """Show progress on one line of a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _options() -> argparse.Namespace:
    listed = ", ".join(scenario.name for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare vpn with its peers on this machine.")
    parser.add_argument(
        "--scenarios",
        type=_names,
        default=["*"],
        metavar="NAMES",
        help=f"with commas and wildcards, of: {listed}, {COMMANDS}",
    )
    parser.add_argument(
        "--peers",
        type=_names,
        default=["*"],
        metavar="NAMES",
        help=f"with commas and wildcards, of: {', '.join(peer.name for peer in PEERS)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="default 5")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each measurement; default 3")
    parser.add_argument("--tunnels", type=int, metavar="N", help="held open by hold; default 5000")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s, 500 tunnels")
    parser.add_argument("--even-if-busy", action="store_true", help="measure although other programs take part")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where results are written; default bench, or bench/.build for a part",
    )
    options = parser.parse_args()
    part = options.quick or options.scenarios != ["*"] or options.peers != ["*"]
    usual = (*((2, 1.0, 500) if options.quick else (5, 3.0, 5000)), generator.BUILD if part else HERE)
    for name, value in zip(("rounds", "seconds", "tunnels", "output"), usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
