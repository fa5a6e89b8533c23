"""``python -m tenfold.gates FOLDER WORK``: the process in which a release is looked at, behind everything else there is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if __name__ == "__main__":
    with suppress(OSError, AttributeError):  # before the imports; not every system has it
        os.nice(10)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    from tenfold.gates.probe import main

    main(*sys.argv[1:])
