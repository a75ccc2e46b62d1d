import socket

import pytest

from vpn.proxy.packet_socket import _V4, _V6, PacketSocket, _answering


@pytest.mark.parametrize(
    ("listens", "told"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.7"), ("::1", "::1"), ("::", "::1")]
)
def test_a_client_is_answered_from_where_it_wrote_to(listens, told):
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((listens, 0))
        ours = PacketSocket(sock)
        client.settimeout(5)
        client.connect((told, ours.getsockname()[1]))
        client.send(b"question")
        buffer = bytearray(100)
        count, source, local = ours.receive(buffer)
        assert (bytes(buffer[:count]), source) == (b"question", client.getsockname())
        assert bool(local) is (listens != told)
        ours.send(b"answer", source, local)
        assert client.recv(100) == b"answer"
        ours.close()
        assert ours.fileno() == -1


def test_the_interface_is_said_only_where_an_address_has_no_meaning_without():
    v4 = _V4.pack(3, b"\xc0\0\2\1", b"\xc0\0\2\2")
    assert _answering(socket.IPPROTO_IP, 8, v4)[2] == _V4.pack(0, b"\xc0\0\2\1", bytes(4))
    for address, interface in (("2001:db8::1", 0), ("fe80::1", 3)):
        packed = socket.inet_pton(socket.AF_INET6, address)
        answering = _answering(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(packed, 3))
        assert answering == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(packed, interface))
