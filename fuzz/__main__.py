"""``python -m fuzz SECONDS``: fuzz every target that long. ``python -m fuzz TARGET FILE``: one input again.

What was found to lead somewhere new is kept in ``.fuzz/`` and is where the next run begins.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

KEPT = Path(".fuzz")
OPTIONS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=4200", "-print_final_stats=1")


def main(arguments: list[str]) -> int:
    """Run all targets, or one with libFuzzer's own arguments."""
    if len(arguments) == 1 and arguments[0].isdigit():
        return _run_all(int(arguments[0]))
    if arguments:
        _run_one(*arguments)
    print(__doc__, file=sys.stderr)
    return 2


def _run_all(seconds: int) -> int:
    from fuzz.targets import TARGETS

    failed = False
    for name, target in TARGETS.items():
        corpus = KEPT / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        artifacts = f"-artifact_prefix={KEPT}/{name}-"
        command = [sys.executable, "-m", "fuzz", name, f"-max_total_time={seconds}", artifacts, *OPTIONS, str(corpus)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
        )
        if done.returncode == 0:
            executed = re.search(r"number_of_executed_units: (\d+)", done.stdout)
            print(f"{name:22} {int(executed[1]) if executed else 0:>10} inputs", flush=True)
            continue
        failed = True
        found = re.search(r"Test unit written to (\S+)", done.stdout)
        print(f"{name:22} FAILED\n{done.stdout[-4000:]}")
        if found:
            print(f"Once more with: {sys.executable} -m fuzz {name} {found[1]}", flush=True)
    return int(failed)


def _run_one(name: str, *options: str) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["vpn.protocols", "vpn.links"]):
        from fuzz.targets import TARGETS
    if name not in TARGETS:
        sys.exit(f"{name} is none of {', '.join(TARGETS)}")
    atheris.Setup([f"fuzz {name}", *options], TARGETS[name].call)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
