"""Amounts as people write them, and back: sizes, rates, durations, moments.

Kept are whole numbers of bytes, bits per second and seconds. Case does not matter, but for one letter: in rates
``b`` is a bit to some and a byte to others, so only ``B/s`` means bytes, and ``b/s`` is refused. What `show_size`,
`show_rate` and `show_duration` write, the parser reads as the same number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from vpn.domain.errors import Invalid

LARGEST = 2**62
"""No amount is larger."""

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The moment that ``never`` stands for."""

_LONGEST = 64  # characters
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40, "pi": 2**50, "ei": 2**60}
_MULTIPLES = _DECIMAL | _BINARY
_SIZES = {prefix + unit: factor for prefix, factor in _MULTIPLES.items() for unit in ("", "b", "byte", "bytes")}
_BITS = {prefix + unit: factor for prefix, factor in _MULTIPLES.items() for unit in ("", "bit", "bits", "bit/s", "bps")}
_BYTES = {prefix + "b/s": 8 * factor for prefix, factor in _MULTIPLES.items()}
_SECONDS = {
    name: seconds
    for seconds, names in (
        (1, ("s", "sec", "second", "seconds")),
        (60, ("m", "min", "minute", "minutes")),
        (3600, ("h", "hour", "hours")),
        (86400, ("d", "day", "days")),
        (7 * 86400, ("w", "week", "weeks")),
    )
    for name in names
}

_SIZE_HINT = "write it as 50GB, 50GiB or 500000000 (bytes)"
_RATE_HINT = "write it as 20mbit, 512kbit, 2.5MB/s or 8000 (bits per second)"
_DURATION_HINT = "write it as 30d, 12h, 90m, 1d12h or 3600 (seconds)"
_MOMENT_HINT = "write it as 2026-12-31, 2026-12-31T18:00:00Z, or from now on as 30d"
_PAST_HINT = "write it as 2026-12-31, 2026-12-31T18:00:00Z, or as 7d (so long ago)"

_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/]*)")
_STEP = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*")


def parse_size(text: str) -> int:
    """Bytes: ``50GB`` is 50·10⁹, ``50GiB`` is 50·2³⁰, a plain number is bytes.

    Raises:
        Invalid: it is no size, no whole number of bytes, or too large.
    """
    return _amount(text, _SIZES, "size", _SIZE_HINT)


def parse_rate(text: str) -> int:
    """Bits per second: ``20mbit``, ``20 Mbit/s``, ``20mbps``; ``2.5MB/s`` are bytes; a plain number is bits.

    Raises:
        Invalid: it is no rate, no whole number of bits, or too large; or its ``b`` could be bits or bytes.
    """
    text = text.strip()
    if text.endswith("B/s"):
        return _amount(text, _BYTES, "rate", _RATE_HINT)
    if re.fullmatch(r".*(?<!bit)(b/s|B/S|Bps|BPS)", text) and text[0].isdigit():
        raise Invalid("bad_rate", f"{text!r} may mean bits or bytes", _RATE_HINT)
    return _amount(text, _BITS, "rate", _RATE_HINT)


def parse_duration(text: str) -> int:
    """Seconds: ``30d``, ``12h``, ``1d12h``, ``2 weeks``; a plain number is seconds.

    Raises:
        Invalid: it is no duration, no whole number of seconds, or too long.
    """
    if text.strip().isascii() and text.strip().isdigit():
        return _amount(text, {"": 1}, "duration", _DURATION_HINT)
    end, total = 0, 0
    if len(text) > _LONGEST or not text.strip():
        raise _bad("duration", text, _DURATION_HINT)
    while end < len(text):
        step = _STEP.match(text, end)
        if step is None:
            raise _bad("duration", text, _DURATION_HINT)
        total += _amount(step[0], _SECONDS, "duration", _DURATION_HINT)
        end = step.end()
    return _bounded(total, "duration", text, _DURATION_HINT)


def parse_moment(text: str, now: datetime) -> datetime:
    """A moment in UTC: an ISO date (its beginning in UTC), a date and time with zone, a duration from now, ``never``.

    Raises:
        Invalid: it is none of these, has no time zone, or lies beyond the year 9999.
    """
    text = text.strip()
    if text.lower() == "never":
        return NEVER
    try:
        moment = _written(text) or now + timedelta(seconds=parse_duration(text))
        return min(moment.astimezone(UTC).replace(microsecond=0), NEVER)
    except Invalid as error:
        if error.code == "bad_moment":
            raise
        raise _bad("moment", text, _MOMENT_HINT) from None
    except (ValueError, OverflowError):
        raise _bad("moment", text, _MOMENT_HINT) from None


def parse_past(text: str, now: datetime) -> datetime:
    """A moment in UTC that has been: an ISO date (its beginning in UTC), a date and time with zone, how long ago.

    What is longer ago than 1970 is 1970.

    Raises:
        Invalid: it is none of these, or has no time zone.
    """
    text = text.strip()
    try:
        moment = _written(text)
        if moment is None:
            moment = datetime.fromtimestamp(max(0.0, now.timestamp() - parse_duration(text)), UTC)
        return moment.astimezone(UTC)
    except Invalid as error:
        if error.code == "bad_moment":
            raise
        raise _bad("moment", text, _PAST_HINT) from None
    except (ValueError, OverflowError):
        raise _bad("moment", text, _PAST_HINT) from None


def show_size(size: int) -> str:
    """Bytes for people, exactly: ``50 GB``, ``50 GiB``, ``1234567 B``."""
    binary = [f"{size // factor} {prefix[0].upper()}iB" for prefix, factor in _BINARY.items() if _fits(size, factor)]
    return _shortest(_decimals(size, "B") + binary)


def rounded_size(size: int) -> str:
    """Bytes for people who look at a glance: ``12.3 GB``."""
    rounded = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if rounded < 1000 or unit == "TB":
            break
        rounded /= 1000
    return f"{rounded:.0f} {unit}" if unit == "B" else f"{rounded:.1f} {unit}"


def rounded_rate(rate: float) -> str:
    """Bits per second for people who look at a glance: ``12.3 Mbit/s``."""
    for unit in ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"):
        if rate < 999.95 or unit == "Tbit/s":
            break
        rate /= 1000
    return f"{rate:.0f} {unit}" if unit == "bit/s" else f"{rate:.1f} {unit}"


def show_rate(rate: int) -> str:
    """Bits per second for people, exactly: ``20 Mbit/s``."""
    return _shortest(_decimals(rate, "bit/s"))


def show_duration(seconds: int) -> str:
    """Seconds for people, exactly: ``1d12h``."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def rounded_duration(seconds: float) -> str:
    """Seconds for people who look at a glance: ``0.3s``, ``19m32s``, ``2d7h``."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    return show_duration(whole - whole % (1 if whole < 3600 else 60 if whole < 86400 else 3600))


def _written(text: str) -> datetime | None:
    """A moment that is written as a date, or as a date and a time with zone; None: it is written otherwise."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return datetime.combine(datetime.fromisoformat(text), time(), UTC)
    if not re.match(r"\d{4}-", text):
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Invalid("bad_moment", f"{text!r} has no time zone", "add one, as in 2026-12-31T18:00:00Z")
    return moment


def _amount(text: str, units: Mapping[str, int], kind: str, hint: str) -> int:
    match = _AMOUNT.fullmatch(text.strip())
    factor = units.get(match[2].lower()) if match is not None and len(text) <= _LONGEST else None
    if match is None or factor is None:
        raise _bad(kind, text, hint)
    whole, _, decimals = match[1].partition(".")
    amount, rest = divmod(int(whole + decimals) * factor, 10 ** len(decimals))
    if rest:
        raise Invalid(f"bad_{kind}", f"{text!r} is no whole number", hint)
    return _bounded(amount, kind, text, hint)


def _bounded(amount: int, kind: str, text: str, hint: str) -> int:
    if amount > LARGEST:
        raise Invalid(f"bad_{kind}", f"the {kind} {text!r} is too large", hint)
    return amount


def _bad(kind: str, text: str, hint: str) -> Invalid:
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return Invalid(f"bad_{kind}", f"{shown!r} is not a {kind}", hint)


def _fits(amount: int, factor: int) -> bool:
    return amount >= factor and amount % factor == 0


def _decimals(amount: int, unit: str) -> list[str]:
    """The amount in each decimal multiple that it reaches, with all its digits."""
    shown = []
    for power, prefix in enumerate(_DECIMAL):
        whole, rest = divmod(amount, 1000**power)
        if whole or not power:
            digits = f".{rest:0{3 * power}d}".rstrip("0").rstrip(".") if rest else ""
            shown.append(f"{whole}{digits} {prefix if prefix == 'k' else prefix.upper()}{unit}")
    return shown


def _shortest(texts: list[str]) -> str:
    return min(texts, key=len)
