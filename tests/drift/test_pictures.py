"""Pictures are watched while they are served: by the brightness of their channels, as the model got them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from tenfold import Contract, Image
from tenfold.contract.form import layout_of
from tenfold.drift.deltas import Delta, Tally
from tenfold.drift.following import GRACE_S, Following, Release, add, begin, close
from tenfold.drift.judge import Circumstances
from tenfold.drift.live import Reader, pictures_of, watched
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile
from tenfold.drift.reporting import report
from tenfold.drift.verdicts import Verdict
from tenfold.rows import Answer, Rows
from tests.drift.test_faults import pictures


class Photo(Contract):
    """A picture, and where it was taken."""

    photo: Annotated[np.ndarray, Image(size=(8, 8))]
    depth: float


class Species(Contract):
    """What is on it."""

    label: Literal["fish", "none"]


COLUMNS = watched(Photo.form, Species.form)
GIVEN, ANSWERED = layout_of(Photo.form), layout_of(Species.form)
WINDOW_S = 60.0


class Server:
    """A replica that is shown pictures, and the process that looks after it."""

    def __init__(self) -> None:
        self.time = 1_790_000_040.0
        self.sent: list[Delta] = []
        known = pictures_of(Photo.form)
        self.tally = Tally(
            COLUMNS, lambda some: Reader(some, GIVEN, ANSWERED, known), WINDOW_S, lambda: self.time, 1, self.sent.append
        )
        self.now = Following(began=self.time)
        self.release = Release(Drift(window="1 min"), COLUMNS)
        self.profile: Profile | None = None

    def minute(self, shown: np.ndarray) -> None:
        """A minute with so many pictures."""
        random = np.random.default_rng(len(shown))
        for k, part in enumerate(np.array_split(shown, 50)):
            n = len(part)
            encoded = np.array([b"..."] * n, dtype=object)
            depth = {"f8": random.normal(size=(n, 1))}
            came, got = Rows(GIVEN, n, depth, own=[encoded]), Rows(GIVEN, n, depth, own=[part])
            said = Rows(ANSWERED, n, {"i4": random.integers(0, 2, (n, 1)).astype("<i4")})
            index = np.arange(n)
            self.tally.saw(came, Answer(said, index, n, given=got, given_index=index))
            self.time += WINDOW_S / 50 * (k < 49)
        self.tally.flush()
        self.time = self.time // WINDOW_S * WINDOW_S + WINDOW_S
        for delta in self.sent:
            add(self.now, self.profile, self.release, delta, self.time)
        self.sent.clear()
        if self.profile is None:
            self.profile = begin(self.now, self.release, self.time + GRACE_S)
            if self.profile is not None:
                self.tally.know(self.profile.columns)
        if self.profile is not None:
            close(self.now, self.profile, self.release, self.time + GRACE_S)


def test_a_client_that_swaps_red_and_blue_is_found() -> None:
    """Somebody's camera library gives BGR from one day on: the feed is to be mended, and the fault is called by its name."""
    server = Server()
    for minute in range(8):
        shown = pictures(minute, 600)
        server.minute(shown if minute < 5 else shown[..., ::-1])
    assert server.profile is not None
    assert [c.name for c in server.profile.columns][:3] == ["depth", "photo: red", "photo: green"]
    found = report(server.profile, server.release.policy, server.now.state, Circumstances(), int)
    assert found.verdict is Verdict.FIX_DATA
    assert "photo: red and blue are swapped" in found.because


def test_pictures_of_any_size_are_watched() -> None:
    """Where the contract leaves the size open, each picture is looked at by itself; one that is missing counts as that."""
    some = pictures(1, 3)
    shown = np.empty(3, dtype=object)
    shown[:] = [some[0], np.repeat(some[1], 2, axis=0), None]
    reader = Reader(COLUMNS, GIVEN, ANSWERED, pictures_of(Photo.form))
    found = reader.pictures(Rows(GIVEN, 3, {"f8": np.zeros((3, 1))}, own=[shown]))
    together = reader.pictures(Rows(GIVEN, 3, {"f8": np.zeros((3, 1))}, own=[some]))
    np.testing.assert_allclose(found[:2], together[:2])
    assert np.isnan(found[2]).all()
