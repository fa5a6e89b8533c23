"""When river's detectors first alarm on the benchmark's streams, as JSON; run in an environment of its own.

python drift_river.py KIND RUNS CHANGE_AT -- CHANGE_AT is "none" where nothing changes.
"""

from __future__ import annotations

import json
import sys

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


def main(kind, runs, change_at):
    found = {}
    for name, make in DETECTORS.items():
        if name == "DDM" and kind != "errors":
            continue  # it is for errors alone
        alarms = []
        for seed in range(runs):
            stream = made(kind, seed, change_at)[BEFORE:].tolist()
            alarms.append(first_alarm(make(), [bool(value) for value in stream] if name == "DDM" else stream))
        found[name] = alarms
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), None if sys.argv[3] == "none" else int(sys.argv[3]))
