"""``python -m bench.policy``: what a decision costs, by the number of rules, and what compiling them costs."""

from __future__ import annotations

import random
import time
from typing import Any

from vpn.domain.acl import CompiledPolicy, Pool, Request, request_for
from vpn.domain.policy_document import parse_policy

SIZES = (100, 1_000, 10_000)
DECISIONS = 20_000
GROUPS = 4  # besides everyone; the user who asks is in two of them
_NOW = 1_795_280_694.0
_SOURCE = bytes([10, 0, 0, 1])


def main() -> None:
    """Measure, and print a table."""
    print("| rules | compile ms | decide µs: p50 | p99 | foresee µs: p50 | p99 |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        policy = parse_policy(document(size))
        began = time.perf_counter()
        rules = CompiledPolicy(policy)
        compiling = (time.perf_counter() - began) * 1e3
        pool = rules.pool("alice", ("group0", "group1"))
        asked = requests(size)
        decide = _percentiles(pool, asked, names_only=False)
        foresee = _percentiles(pool, asked, names_only=True)
        print(
            f"| {size:,} | {compiling:.0f} | {decide[0]:.2f} | {decide[1]:.2f} | {foresee[0]:.2f} | {foresee[1]:.2f} |"
        )


def document(size: int) -> dict[str, Any]:
    """A policy of so many rules: names and networks, a third with ports, some with sources, hours or one protocol."""
    chance = random.Random(size)
    rules = [_rule(chance, number) for number in range(size)]
    share = size // (GROUPS + 1)
    groups = {f"group{number}": {"rules": rules[number * share : (number + 1) * share]} for number in range(GROUPS)}
    return {"default": "allow", "groups": groups | {"everyone": {"rules": rules[GROUPS * share :]}}}


def _rule(chance: random.Random, number: int) -> dict[str, Any]:
    network = f"{chance.randrange(1, 224)}.{chance.randrange(256)}"
    kinds = [f".site{number}.example"] * 4 + [f"host{number}.example.org"] + [f"*.cdn{number}.example"]
    kinds += [f"{network}.{chance.randrange(256)}.0/24"] * 2 + [f"{network}.0.0/16"] + [f"2a00:{number:x}::/32"]
    rule: dict[str, Any] = {
        "action": chance.choice(["allow", "block"]),
        "destinations": [chance.choice(kinds)],
        "priority": chance.randrange(10),
    }
    if chance.random() < 0.3:
        rule["ports"] = chance.choice([["443"], ["80", "443"], ["8000-9000"]])
    if chance.random() < 0.1:
        rule["protocols"] = "tcp"
    if chance.random() < 0.02:
        rule["sources"] = ["10.0.0.0/8"]
    if chance.random() < 0.02:
        rule["hours"] = ["mon-fri 08:00-18:00"]
    return rule


def requests(size: int) -> list[Request]:
    """What is asked: names with their addresses, most of them in some rule, and addresses alone."""
    chance = random.Random(1)
    asked = []
    for _ in range(DECISIONS):
        number = chance.randrange(size)
        address = bytes([chance.randrange(1, 224), chance.randrange(256), 1, 2])
        names = [f"www.site{number}.example", f"a.cdn{number}.example", f"host{number}.example.org", "www.example.net"]
        host = chance.choice([*names, ".".join(map(str, address))])
        request = request_for(host, chance.choice([22, 80, 443]), udp=False, source=_SOURCE, now=_NOW)
        request.packed = address
        asked.append(request)
    return asked


def _percentiles(pool: Pool, asked: list[Request], *, names_only: bool) -> tuple[float, float]:
    """Median and 99th percentile, in microseconds."""
    spent = []
    for request in asked:
        if names_only:
            request.packed = None
        began = time.perf_counter_ns()
        if names_only:
            pool.foresee(request)
        else:
            pool.decide(request)
        spent.append(time.perf_counter_ns() - began)
    spent.sort()
    return spent[len(spent) // 2] / 1e3, spent[len(spent) * 99 // 100] / 1e3


if __name__ == "__main__":
    main()
