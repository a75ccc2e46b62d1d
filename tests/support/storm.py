"""Wrong passwords at a steady rate from many addresses of loopback.

``python -m tests.support.storm PORT RATE SOURCES`` makes RATE guesses a second from SOURCES addresses, at as many
names. It goes on until its standard input ends, and then prints how many answers of each kind it got, as JSON. Each
client says everything at once, and waits for its answer on the event loop, so that slow answers do not slow the
storm.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

HELD = 2000  # clients at once; beyond that the storm waits


async def attack(port: int, rate: float, sources: int) -> Counter[str]:
    """Guess until standard input ends."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True).start()
    answers: Counter[str] = Counter()
    free = asyncio.Semaphore(HELD)
    guesses: set[asyncio.Task[None]] = set()
    began = loop.time()
    made = 0
    while not over.is_set():
        await free.acquire()
        guess = asyncio.create_task(_guess(port, sources, answers))
        guesses.add(guess)
        guess.add_done_callback(guesses.discard)
        guess.add_done_callback(lambda _: free.release())
        made += 1
        await asyncio.sleep(max(began + made / rate - loop.time(), 0))
    for guess in guesses:
        guess.cancel()
    answers["made"] = made
    return answers


async def _guess(port: int, sources: int, answers: Counter[str]) -> None:
    number = random.randrange(sources)
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    user = f"name{random.randrange(sources)}".encode()
    password = f"{random.random()}".encode()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    except OSError as error:
        answers[type(error).__name__] += 1
        return
    try:
        writer.write(b"\x05\x01\x02\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        answer = await reader.read(4)
        while answer and len(answer) < 4 and (more := await reader.read(4 - len(answer))):
            answer += more
        answers[{b"\x05\x02\x01\x01": "refused", b"\x05\x02\x01\x00": "accepted"}.get(answer, "closed")] += 1
    except OSError:
        answers["closed"] += 1
    finally:
        writer.close()


@contextmanager
def storm(port: int, rate: float, sources: int) -> Iterator[Counter[str]]:
    """A storm in a process of its own; the counter is filled when it is over."""
    command = [sys.executable, "-m", "tests.support.storm", str(port), str(rate), str(sources)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    answers: Counter[str] = Counter()
    try:
        yield answers
    finally:
        out, _ = process.communicate(timeout=30)
        answers.update(json.loads(out))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))))
