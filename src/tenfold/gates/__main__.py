"""``python -m tenfold.gates FOLDER WORK``: the process in which a release is looked at, behind everything else there is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if __name__ == "__main__":
    with suppress(OSError):  # before the imports
        os.nice(10)
    from tenfold.gates.probe import main

    main(*sys.argv[1:])
