import msgspec
import pytest

from vpn.domain.address import Endpoint
from vpn.domain.egress import Choice, Egress, Resolving, Route, Upstream
from vpn.domain.inbound import Inbound
from vpn.domain.policy import GroupRules, Policy, Rule, UserRules
from vpn.domain.session import Session
from vpn.proxy import control

EGRESS = Egress(
    private_destinations=True,
    resolving=Resolving(servers=("192.0.2.1",), hosts={"router": ("10.0.0.1",)}),
    upstreams=(Upstream(name="paris", protocol="socks5", address=Endpoint("192.0.2.2", 1080)),),
    routes=(Route(upstreams=(Choice("paris", 2),), destinations=("*",), users=("alice",)),),
)
USER = control.SnapshotUser("a", 2**62, "", 3, ("staff",), control.SnapshotLimits(max_connections=2))
TO_WORKER = [
    control.Snapshot(1, [USER], EGRESS),
    control.Rules(
        3,
        Policy("allow", {"g": GroupRules((Rule(action="block", hours=("mon",)),))}, {"u": UserRules(("g",))}),
        "/countries.mmdb",
    ),
    control.Listen([control.Listening(3, 1, Inbound("main", "mixed", Endpoint("::1", 1)))], 10, 2.5),
    control.Verdict(1, True, 2**62),
    control.Bans(["192.0.2.1", "2001:db8::/64"], {"alice": ["192.0.2.2"], "bob": []}),
    control.Cut(1, "terminated", [2], "alice", "*.example.com"),
    control.Tracing(0.25),
    control.Drain(1.5),
]
TO_DAEMON = [
    control.Ready(),
    control.Listens(),
    control.Applied(7),
    control.RulesApplied(7, "a file is missing"),
    control.Refuses(),
    control.Verify(1, "alice", "s3cret", "192.0.2.1"),
    control.Attempts([control.Attempt("alice", "192.0.2.1", 3)], [control.Attempt("bob", "::1")]),
    control.Hungry(),
    control.HasCut(1, 2),
    control.Report(1, 2, 3, 4, 5, [Session(1, "main", "::1", 1, 0.5)], [control.Moved(1, 2, 3, 4, 5)]),
    control.Log("info", "event", {"a": 1, "b": "x"}),
]


@pytest.mark.parametrize(
    ("message", "union"),
    [*((message, control.ToWorker) for message in TO_WORKER), *((message, control.ToDaemon) for message in TO_DAEMON)],
)
def test_every_message_survives_the_way(message, union):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=union) == message


def test_no_message_is_forgotten_here():
    kinds = {type(message) for message in TO_WORKER + TO_DAEMON}
    assert kinds == set(control.Message.__subclasses__())
