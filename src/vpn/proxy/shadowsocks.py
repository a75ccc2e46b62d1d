"""What the Shadowsocks inbounds of one worker share."""

from __future__ import annotations

from vpn.domain.shadowsocks import Method
from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_header import Beginning
from vpn.proxy.core import BUFFER, Core
from vpn.proxy.keyring import Keyring
from vpn.proxy.packet_memory import PacketMemory
from vpn.proxy.recognition import Recognition
from vpn.proxy.visitors import Visitors

SCRATCH = BUFFER + 128 * 1024
"""Bytes: what a flow moves at a time, sealed, and a chunk that had come before in part."""


class Shadowsocks:
    """Keys, who came from where, and a buffer that is empty between two events."""

    def __init__(self, core: Core) -> None:
        self._credentials = core.credentials
        self._keyrings: dict[str, Keyring] = {}
        self._memories: dict[str, PacketMemory] = {}
        self.visitors = Visitors()
        self.recognition = Recognition[Beginning | ProtocolError](core.poller)
        self.scratch = memoryview(bytearray(SCRATCH))

    def keyring(self, method: Method) -> Keyring:
        """The users' keys for a method."""
        if method.name not in self._keyrings:
            self._keyrings[method.name] = Keyring(method, self._credentials)
        return self._keyrings[method.name]

    def memory(self, method: Method) -> PacketMemory:
        """Which datagrams of a method have come."""
        return self._memories.setdefault(method.name, PacketMemory())


def shared(core: Core) -> Shadowsocks:
    """What the Shadowsocks inbounds of this worker share; made for the first one."""
    if core.shadowsocks is None:
        core.shadowsocks = Shadowsocks(core)
    return core.shadowsocks
