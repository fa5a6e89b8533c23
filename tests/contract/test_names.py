"""The names of the room: all of them there, none of them loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import tenfold.contract


def test_every_name_of_the_room_can_be_had() -> None:
    """A service file imports the whole vocabulary from one place."""
    for name in dir(tenfold.contract):
        assert getattr(tenfold.contract, name) is not None
    assert {"Contract", "Ge", "Key", "clamp", "rule"} <= set(dir(tenfold.contract))


def test_the_form_and_the_schema_need_no_numpy() -> None:
    """The front describes a contract without what only a replica has."""
    code = "import sys, tenfold.contract.schema; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
