"""Evidence is kept beside the service, and counts only for what it was taken on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tenfold.answers import Evidence, Fit, Golden, keep, sheet
from tests.answers.examples import PARTS, evidence, spec

NOW = datetime(2026, 11, 14, 9, 30, tzinfo=UTC)
FIT = Fit(source="train.parquet", rows=3, equal=3)
GOLDEN = Golden(records=2, equal=2, valid=2, provenance="training")


def test_what_was_measured_is_found_again(tmp_path: Path) -> None:
    """A sheet made later, or by another process, sees it."""
    kept = keep(tmp_path, spec(), NOW, FIT)
    assert Evidence.read(tmp_path) == kept
    assert kept.fit is not None
    assert (kept.fit.at, kept.fit.rows) == ("2026-11-14T09:30:00+00:00", 3)


def test_a_new_measurement_leaves_the_others_alone(tmp_path: Path) -> None:
    """Replaying golden records does not forget the table."""
    keep(tmp_path, spec(), NOW, FIT)
    kept = keep(tmp_path, spec(), NOW, GOLDEN)
    assert kept.fit is not None
    assert kept.golden is not None


def test_no_evidence_is_no_error(tmp_path: Path) -> None:
    """A fresh folder, and one whose file another version wrote, have a sheet."""
    assert Evidence.read(tmp_path) == Evidence()
    (tmp_path / ".tenfold").mkdir()
    (tmp_path / ".tenfold" / "evidence.json").write_text('{"fit": 1}')
    assert Evidence.read(tmp_path) == Evidence()


def test_a_changed_model_makes_evidence_worthless() -> None:
    """The sheet says that the model changed since it was measured."""
    retrained = spec(parts=PARTS | {"model": "3f9c"})
    found = sheet(retrained, evidence=evidence()).answers[5]
    assert (found.state, found.measured) == ("open", {})
    assert found.because == "how long a row takes: not measured since the model changed"


def test_recording_golden_records_leaves_the_measurements_valid() -> None:
    """Only what the records show depends on them."""
    recorded = spec(parts=PARTS | {"golden": "beef"})
    left = evidence().of(recorded)
    assert left.fit is not None
    assert left.golden is None
