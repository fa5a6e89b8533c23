"""Labels and profiles: what turned out to be true, and counts of what was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.store import Store
from tenfold.store.nouns import Counted
from tenfold.store.records import Label, Profile
from tests.store.conftest import Clock

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def label(ref: str, value: Any, by: Literal["id", "key"] = "key", minutes: float = 0) -> Label:
    """A label that became true so many minutes after noon."""
    return Label(service="tumour", by=by, ref=ref, label={"label": value}, at=NOON + timedelta(minutes=minutes))


def test_labels_are_new_known_or_corrected(store: Store, other: Store) -> None:
    """Sent twice a label is known; one that became true later corrects it; one that is older is late and changes nothing."""
    assert store.labels.add([label("a", "benign"), label("b", "benign")]) == Counted(new=2)
    assert store.labels.add([label("a", "benign", minutes=5)]) == Counted(known=1)
    assert store.labels.add([label("b", "malignant", minutes=5)]) == Counted(corrected=1)
    assert store.labels.add([label("b", "benign", minutes=1)]) == Counted(known=1)
    found = other.labels.find("tumour", "key", ["a", "b", "c"])
    assert {ref: one.label["label"] for ref, one in found.items()} == {"a": "benign", "b": "malignant"}


def test_ids_and_keys_are_apart(store: Store) -> None:
    """A key that looks like an id of a prediction is none."""
    store.labels.add([label("7", 1, "id"), label("7", 2, "key")])
    assert store.labels.find("tumour", "id", ["7"])["7"].label == {"label": 1}
    assert store.labels.find("fraud", "id", ["7"]) == {}


def test_what_arrived_since_is_read_in_order(store: Store, clock: Clock) -> None:
    """Whoever looks again reads what came in between, corrections too, however many there are."""
    store.labels.add(label(str(k), 0) for k in range(1200))
    assert sum(1 for _ in store.labels.since("tumour")) == 1200
    moment = clock()
    store.labels.add([label("7", 1, minutes=1), label("new", 0)])
    assert [one.ref for one in store.labels.since("tumour", moment)] == ["7", "new"]


@settings(suppress_health_check=list(HealthCheck), max_examples=30)
@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), st.integers(0, 2)), st.randoms())
def test_the_latest_truth_holds_in_any_order(store: Store, told: dict[tuple[str, int], int], order: Random) -> None:
    """Labels for different moments end the same way in whatever order they arrive, and however often."""
    labels, service = store.labels, f"s{len(told)}-{order.random()}"
    arriving = [*told.items(), *told.items()]
    order.shuffle(arriving)
    for (ref, minute), value in arriving:
        labels.add([msgspec.structs.replace(label(ref, value, minutes=minute), service=service)])
    latest = {ref: value for (ref, _), value in sorted(told.items())}
    found = labels.find(service, "key", ["a", "b"])
    assert {ref: one.label["label"] for ref, one in found.items()} == latest


def test_profiles_are_kept_by_window(store: Store, other: Store) -> None:
    """A window that is counted anew takes the place of what was counted before; windows come in their order."""

    def profile(hours: int, rows: int, kind: str = "live") -> Profile:
        since = NOON + timedelta(hours=hours)
        until = since + timedelta(hours=1)
        return Profile(service="tumour", release="r", kind=kind, since=since, until=until, rows=rows, content="0" * 64)

    for hours, rows in ((1, 10), (0, 5), (1, 20)):
        store.profiles.add(profile(hours, rows))
    store.profiles.add(profile(0, 891, "reference"))
    assert [one.rows for one in other.profiles.of("tumour", "r", "live")] == [5, 20]
    assert [one.kind for one in other.profiles.of("tumour")] == ["live", "reference", "live"]
