"""When river's detectors first alarm on the benchmark's streams, as JSON; run in an environment of its own.

python drift_river.py KIND FIRST LAST CHANGE_AT SECONDS [DETECTOR] -- streams FIRST to LAST - 1; CHANGE_AT is "none" where
nothing changes. A detector that is not through with them after so many seconds has fewer alarms to tell of; None is no alarm.
"""

from __future__ import annotations

import json
import sys
import time

from river import drift
from streams import BEFORE, made

DETECTORS = {
    "ADWIN": drift.ADWIN,
    "DDM": drift.binary.DDM,
    "PageHinkley": drift.PageHinkley,
    "KSWIN": lambda: drift.KSWIN(seed=1),
}


def first_alarm(detector, stream):
    for point, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected:
            return point
    return None


def main(kind, first, last, change_at, seconds, only=None):
    found = {}
    for name, make in DETECTORS.items():
        if (name == "DDM" and kind != "errors") or only not in (None, name):
            continue  # DDM is for errors alone
        alarms = found[name] = []
        began = time.monotonic()
        for seed in range(first, last):
            if time.monotonic() - began > seconds:
                break
            stream = made(kind, seed, change_at)[BEFORE:].tolist()
            alarms.append(first_alarm(make(), [bool(value) for value in stream] if name == "DDM" else stream))
    print(json.dumps(found))


if __name__ == "__main__":
    kind, first, last, change_at, seconds, *only = sys.argv[1:]
    main(kind, int(first), int(last), None if change_at == "none" else int(change_at), float(seconds), *only)
