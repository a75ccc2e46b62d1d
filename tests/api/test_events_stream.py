import asyncio
import socket
import threading

import pytest

from tests.support.waiting import until
from vpn.api import events_stream
from vpn.api.client import Client, Unreachable
from vpn.api.events_stream import MOST_BYTES, MOST_WAITING, EventStreams
from vpn.api.local import stream_unix
from vpn.api.remote import stream_tcp
from vpn.api.server import APIServer
from vpn.domain.errors import Unavailable

pytestmark = pytest.mark.anyio


class Source:
    """Something that tells events, and the streams that tell them on."""

    def __init__(self, most=events_stream.MOST_STREAMS):
        self.streams = EventStreams(most)
        self.puts = []

    def subscribe(self, put):
        self.puts.append(put)
        return lambda: self.puts.remove(put)

    async def __call__(self, scope, receive, send):
        await self.streams.answer(self.subscribe, [{"n": 0}])(scope, receive, send)


@pytest.fixture
async def source(tmp_path):
    """A source on a TCP and a Unix socket."""
    source = Source()
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "api.sock"))
    unix.listen()
    source.tcp = stream_tcp(f"http://127.0.0.1:{tcp.getsockname()[1]}", "token")
    source.unix = stream_unix(tmp_path / "api.sock")
    servers = [APIServer(source, tcp), APIServer(source, unix)]
    for server in servers:
        server.start()
    yield source
    source.streams.close()
    for server in servers:
        await server.stop()


def client(stream):
    return Client(lambda *_: (404, b""), stream)


@pytest.mark.parametrize("way", ["tcp", "unix"])
async def test_events_come_in_order_until_the_daemon_stops(source, way):
    def follow():
        heard = []
        for event in client(getattr(source, way)).follow("/"):
            heard.append(event)
            if event == {"n": 0}:
                for number in (1, 2):  # from another thread
                    source.puts[0]({"n": number, "text": "a\nb"})
            if event["n"] == 2:
                loop.call_soon_threadsafe(source.streams.close)
        return heard

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        heard = await asyncio.to_thread(follow)
    assert heard == [{"n": 0}, {"n": 1, "text": "a\nb"}, {"n": 2, "text": "a\nb"}]
    until(lambda: not source.puts)


@pytest.mark.parametrize("way", ["tcp", "unix"])
async def test_a_client_that_goes_is_forgotten(source, way):
    def look():
        events = client(getattr(source, way)).follow("/")
        next(events)
        events.close()

    await asyncio.to_thread(look)
    await asyncio.to_thread(until, lambda: not source.puts and not len(source.streams))


async def test_silence_is_broken_so_that_both_sides_notice(source, monkeypatch):
    monkeypatch.setattr(events_stream, "KEEP_ALIVE", 0.01)

    def look():
        _, pieces = source.unix("GET", "/")
        seen = b""
        for piece in pieces:
            seen += piece
            if seen.count(b": still here\n\n") >= 3:
                break
        pieces.close()

    async with asyncio.timeout(10):
        await asyncio.to_thread(look)


async def test_a_client_that_stopped_to_read_is_not_waited_for(caplog):
    source = Source()
    sock = socket.create_server(("127.0.0.1", 0))
    server = APIServer(source, sock)
    server.start()
    with socket.create_connection(sock.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.to_thread(until, lambda: source.puts)
        (connection,) = server._server.server_state.connections
        while not connection.flow.write_paused:
            source.puts[0]({"text": "x" * 100_000})
            await asyncio.sleep(0)
        source.streams.close()
        async with asyncio.timeout(10):
            await server.stop()
    assert len(source.streams) == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_who_is_too_slow_is_told_what_he_missed():
    streams = EventStreams()
    source = Source()
    response = streams.answer(source.subscribe)
    for number in range(MOST_WAITING + 7):
        source.puts[0]({"n": number})
    streams.close()
    sent = []

    async def send(message):
        sent.append(message.get("body", b""))

    await response({"type": "http"}, asyncio.Event().wait, send)
    said = b"".join(sent)
    assert said.count(b'data: {"n":') == MOST_WAITING
    assert said.endswith(b'event: dropped\ndata: {"dropped":7}\n\nevent: end\ndata: {}\n\n')
    assert source.puts == []


async def test_large_events_do_not_pile_up():
    streams = EventStreams()
    source = Source()
    response = streams.answer(source.subscribe)
    for _ in range(20):
        source.puts[0]({"text": "x" * (MOST_BYTES // 4)})
    streams.close()
    sent = []

    async def send(message):
        sent.append(message.get("body", b""))

    await response({"type": "http"}, asyncio.Event().wait, send)
    assert MOST_BYTES <= sum(map(len, sent)) < MOST_BYTES * 1.5
    assert b'data: {"dropped":16}' in sent[-2]


async def test_there_are_not_endlessly_many():
    streams = EventStreams(most=1)
    source = Source()
    streams.answer(source.subscribe)
    with pytest.raises(Unavailable, match="1 streams"):
        streams.answer(source.subscribe)
    streams.close()
    with pytest.raises(Unavailable, match="stopping"):
        streams.answer(source.subscribe)


async def test_puts_of_many_threads_all_arrive(source):
    def put():
        for number in range(100):
            source.puts[0]({"n": number + 1})

    def follow():
        events = client(source.unix).follow("/")
        next(events)
        threads = [threading.Thread(target=put) for _ in range(5)]
        for thread in threads:
            thread.start()
        numbers = [next(events)["n"] for _ in range(500)]
        events.close()
        for thread in threads:
            thread.join()
        return numbers

    async with asyncio.timeout(20):
        assert sorted(await asyncio.to_thread(follow)) == sorted(list(range(1, 101)) * 5)


def test_without_a_daemon_there_is_nothing_to_follow():
    with pytest.raises(Unreachable, match="daemon"):
        next(Client(lambda *_: (200, b"{}")).follow("/"))
