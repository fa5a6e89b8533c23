"""A service that is watched, without its server: what it declares, and the pieces that a replica leaves in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.contract.form import Form
from tenfold.drift.deltas import Delta
from tenfold.drift.folder import folder_of, replace, spool_in
from tenfold.drift.options import Drift
from tenfold.drift.profile import pack
from tenfold.spec import Spec
from tests.drift.test_following import Loan, Repaid

RELEASE = "loans@1234567"


def spec_of(output: Form = Repaid.form, **options: Any) -> Spec:
    """What a service declares that answers loans; ``options`` are those of its drift."""
    return Spec(
        name="loans",
        title="Loans",
        doc="",
        input=Loan.form,
        output=output,
        model="",
        preprocess="",
        postprocess="",
        drift=Drift(**{"window": "1 min", **options}),
    )


def leave(home: Path, number: int, piece: Delta, release: str = RELEASE) -> None:
    """Leave a piece in the spool of a folder, as a replica does; pieces are taken in the order of their numbers."""
    spool = spool_in(folder_of(home, release))
    spool.mkdir(parents=True, exist_ok=True)
    replace(spool / f"{number:015}-me-1", pack(piece))
