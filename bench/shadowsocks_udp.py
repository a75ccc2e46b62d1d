"""Shadowsocks' datagrams, side by side: ``python -m bench.shadowsocks_udp``. It prints round trips, and what they cost.

Ours with one worker, and shadowsocks-libev's ``ss-server`` (Debian), which knows the older ciphers only. A client sends
datagrams that were sealed before, 32 at a time, and counts what comes back from an echo; it opens nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench import generator, processes
from bench.shadowsocks import libev, ours
from bench.site import HOST, PASSWORD
from vpn.domain.shadowsocks import METHODS, Method, user_password
from vpn.protocols import socks_address, xchacha
from vpn.protocols.shadowsocks_keys import key_name, master_key
from vpn.protocols.shadowsocks_packet import salt_size, salted_seal, session_cipher

WINDOW = 32  # datagrams that are on their way
WARM_UP = 64
PATIENCE = 1.0  # seconds until what has not come back is lost
SIZES = (64, 1200)
METHOD_NAMES = ("aes-256-gcm", "chacha20-ietf-poly1305", "2022-blake3-aes-128-gcm", "2022-blake3-chacha20-poly1305")
INBOUND_KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="

Peer = Callable[[], AbstractAsyncContextManager[tuple[int, list[int]]]]


def sealed(method: Method, held: bytes, count: int) -> list[bytes]:
    """So many datagrams of one client that hold this: ATYP ADDR PORT DATA."""
    key = master_key(method, user_password(method, PASSWORD))
    if method.edition == 1:
        seal, room = salted_seal(method, key), memoryview(held)
        return [seal(room, 0, len(held), 0, os.urandom(salt_size(method))) for _ in range(count)]
    session, now = os.urandom(8), int(time.time())
    body = bytes(1) + now.to_bytes(8, "big") + bytes(2) + held
    headers = [session + number.to_bytes(8, "big") for number in range(count)]
    if not method.identified:
        return [_nonced(key, os.urandom(xchacha.NONCE), header + body) for header in headers]
    encrypt = Cipher(algorithms.AES(master_key(method, INBOUND_KEY)), modes.ECB()).encryptor().update
    cipher, name = session_cipher(method, key, session), int.from_bytes(key_name(key), "big")
    masked = [(int.from_bytes(header, "big") ^ name).to_bytes(16, "big") for header in headers]
    return [
        encrypt(header + mask) + cipher.encrypt(header[4:], body, None)
        for header, mask in zip(headers, masked, strict=True)
    ]


def _nonced(key: bytes, nonce: bytes, body: bytes) -> bytes:
    cipher, rest = xchacha.cipher_of(key, nonce)
    return nonce + cipher.encrypt(rest, body, None)


def round_trips(port: int, packets: list[bytes]) -> tuple[float, int]:
    """Seconds that it took to send all of these and have them back, and how many did not come back."""
    lost = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((HOST, port))
        sock.settimeout(PATIENCE)
        began = time.perf_counter()
        for at in range(0, len(packets), WINDOW):
            window = packets[at : at + WINDOW]
            for packet in window:
                sock.send(packet)
            back = 0
            try:
                while back < len(window):
                    sock.recv(2048)
                    back += 1
            except TimeoutError:
                lost += len(window) - back
        return time.perf_counter() - began, lost


async def measure(peer: Peer, method: Method, held: bytes, count: int) -> tuple[float, float]:
    """Round trips in a second, and in a second of the proxy's CPU."""
    async with peer() as (port, pids):
        packets = sealed(method, held, WARM_UP + count)
        await asyncio.to_thread(round_trips, port, packets[:WARM_UP])
        before = sum(map(processes.cpu_seconds, pids))
        seconds, lost = await asyncio.to_thread(round_trips, port, packets[WARM_UP:])
        cpu = sum(map(processes.cpu_seconds, pids)) - before
    if lost > count / 100:
        raise SystemExit(f"{method.name}: {lost} of {count} datagrams were lost")
    return count / seconds, count / max(cpu, 1e-9)


async def compare(target: generator.Target, name: str, size: int, rounds: int, count: int) -> AsyncIterator[str]:
    """Ours and libev, in turn; a line for each."""
    method = METHODS[name]
    held = socks_address.pack(target.host, target.udp) + bytes(size)
    peers: dict[str, Peer] = {"ours": partial(ours, 1, 1, name, INBOUND_KEY if method.identified else "")}
    if method.edition == 1:
        peers["libev"] = partial(libev, name)
    seen: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer, start in peers.items():
            seen[peer].append(await measure(start, method, held, count))
    for peer, each in seen.items():
        speed, core = (statistics.median(one[column] for one in each) for column in (0, 1))
        yield f"{name:30} {size:5} bytes  {peer:6} {speed:9,.0f} round trips/s   {core:9,.0f} per core"
    if "libev" in seen:
        pairs = list(zip(seen["ours"], seen["libev"], strict=True))
        ratios = [statistics.median(mine[column] / other[column] for mine, other in pairs) for column in (0, 1)]
        yield f"{name:30} {size:5} bytes  ratio  x{ratios[0]:.2f}, per core x{ratios[1]:.2f}"


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datagrams", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with generator.target(generator.build()) as target:
        for name in METHOD_NAMES:
            for size in SIZES:
                async for line in compare(target, name, size, options.rounds, options.datagrams):
                    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
