"""Quantities as people write them: "50 ms", "500 rows/s", "10 %", "16 MiB". Strictly, since 50 of what?"""

from __future__ import annotations

import re

SECONDS = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "m": 60.0,
    "h": 3600.0,
    "day": 86400.0,
    "days": 86400.0,
    "d": 86400.0,
    "week": 604800.0,
    "weeks": 604800.0,
}
ROWS_PER_S = {"rows/s": 1.0, "row/s": 1.0, "rows/min": 1 / 60, "rows/h": 1 / 3600}
RATIO = {"%": 0.01}
BYTES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "kB": 1e3, "MB": 1e6, "GB": 1e9}

_QUANTITY = re.compile(r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>\S*)\s*", re.ASCII)


def seconds(text: str) -> float:
    """Seconds of a duration such as "50 ms", "1.5 s", "30m", "2 h" or "30 days"."""
    return _read(text, SECONDS, '"50 ms" or "2 s"', "ms, s, min, h, days, weeks")


def rows_per_s(text: str) -> float:
    """Rows per second of a rate such as "500 rows/s"."""
    return _read(text, ROWS_PER_S, '"500 rows/s"', "rows/s, rows/min, rows/h")


def ratio(text: str) -> float:
    """The share of one of a percentage such as "10%"."""
    return _read(text, RATIO, '"10%"', "%")


def size_bytes(text: str) -> int:
    """Bytes of a size such as "16 MiB"."""
    return round(_read(text, BYTES, '"16 MiB"', "B, KiB, MiB, GiB, kB, MB, GB"))


def _read(text: str, units: dict[str, float], example: str, known: str) -> float:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity; write {example}")
    factor = units.get(found["unit"])
    if factor is None:
        said = f"has the unit {found['unit']!r}" if found["unit"] else "has no unit"
        raise ValueError(f"{text!r} {said}; write {example} (units: {known})")
    # dividing by a whole number rounds once, multiplying by its inverse twice: 0.05, not 0.05000000000000001
    number = float(found["number"])
    return number / round(1 / factor) if factor < 1 else number * factor


def duration(value_s: float) -> str:
    """A duration in seconds as a person writes it: 0.05 is "50 ms"."""
    if value_s < 1e-3:
        return f"{value_s * 1e6:.3g} µs"
    if value_s < 1:
        return f"{value_s * 1e3:.3g} ms"
    for unit, factor in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if value_s >= 2 * factor or value_s == factor:
            return f"{value_s / factor:.4g} {'day' if (unit, value_s) == ('days', factor) else unit}"
    return f"{value_s:.4g} s"


def throughput(rows_per_s: float) -> str:
    """A rate as a person writes it: 1840.2 is "1,840 rows/s"."""
    return f"{rows_per_s:,.0f} rows/s" if rows_per_s >= 100 else f"{rows_per_s:.3g} rows/s"


def percent(share: float) -> str:
    """A share of one as a person writes it: 0.1 is "10 %"."""
    return f"{share * 100:.4g} %"
