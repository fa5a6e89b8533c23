"""A model of a known speed, for those that serve it beside tenfold: the same as in `steady.py`."""

import os
import random
import time

FIXED_S, ROW_S, SIGMA = (float(os.environ[name]) for name in ("FIXED_S", "ROW_S", "SIGMA"))
COMPUTES = os.environ["COMPUTES"] == "1"
chance = random.Random(0)


def call(numbers: list[float]) -> list[float]:
    seconds = (FIXED_S + ROW_S * len(numbers)) * chance.lognormvariate(-(SIGMA**2) / 2, SIGMA)
    until = time.perf_counter() + seconds
    if COMPUTES:
        while time.perf_counter() < until:
            pass
    else:
        time.sleep(seconds)
    return numbers
