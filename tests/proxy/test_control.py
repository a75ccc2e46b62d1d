import msgspec
import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy import control

TO_WORKER = [
    control.Snapshot(1, [control.SnapshotUser("a", 2**62, True)], control.Timeouts(1, 2, 3), False),
    control.Listen(0, [Inbound("main", "mixed", Endpoint("::1", 1))]),
    control.Verdict(1, True, 2**62),
    control.Drain(1.5),
]
TO_DAEMON = [
    control.Ready(),
    control.Applied(7),
    control.Verify(1, "alice", "s3cret"),
    control.Report(1, 2, 3, 4, [Session("id", "main", "::1", 1, 0.5)]),
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
