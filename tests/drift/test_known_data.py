"""Public data with a known truth, where it lies beside the repository: estimates, first verdicts, causes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tenfold.control.drifts import Judged, Roles, judge
from tenfold.drift.verdicts import Verdict

DATA = Path(__file__).parents[3] / "shared" / "data" / "drift"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="the data of the benchmarks is not here"),
]


def judged_rainfall(folder: Path, reference_rows: int) -> Judged:
    """Daily weather: the first days are the reference, the others what came after."""
    days = pd.read_csv(DATA / "rainfall.csv").drop(columns="rain")
    days[:reference_rows].to_parquet(folder / "reference.parquet")
    days[reference_rows:].to_parquet(folder / "current.parquet")
    return judge(folder / "reference.parquet", folder / "current.parquet")


def test_car_loans() -> None:
    """Drift begins at row 25,000: no verdict before, one within the chunk after; and the estimate without labels is off by
    0.0021 of the area at most, which is what the noise of the labels themselves leaves."""
    roles = Roles("y_pred", "y_pred_proba", "repaid", "timestamp")
    report = judge(DATA / "car_loan_reference.parquet", DATA / "car_loan_monitoring.parquet", roles=roles).report
    assert [line.verdict for line in report.windows] == [Verdict.HEALTHY] * 5 + [Verdict.UPDATE_RECOMMENDED] * 5
    assert report.since == "2019-03-31T03:00:00Z"
    errors = [abs((line.estimated or 0) - (line.realised or 0)) for line in report.windows]
    assert np.mean(errors) <= 0.0021


def test_car_loans_without_labels(tmp_path: Path) -> None:
    """The same, on the day, when no label has come yet."""
    now = pd.read_parquet(DATA / "car_loan_monitoring.parquet").drop(columns="repaid")
    now.to_parquet(tmp_path / "current.parquet")
    roles = Roles("y_pred", "y_pred_proba", "repaid", "timestamp")
    report = judge(DATA / "car_loan_reference.parquet", tmp_path / "current.parquet", roles=roles).report
    assert [line.verdict for line in report.windows] == [Verdict.HEALTHY] * 5 + [Verdict.UPDATE_RECOMMENDED] * 5
    assert report.performance is not None
    assert report.performance.realised is None


@pytest.mark.parametrize("reference_rows", [2000, 4000, 6000])
def test_rainfall(tmp_path: Path, reference_rows: int) -> None:
    """From row 12,000 on, columns hold what others held before: that is a feed to be mended, and no new climate."""
    report = judged_rainfall(tmp_path, reference_rows).report
    assert report.verdict is Verdict.FIX_DATA
    assert "dew point holds what was sea-level pressure" in report.because
    for line in report.windows:
        broken = reference_rows + int(line.start) >= 12_000
        assert (line.verdict is Verdict.FIX_DATA) == broken or reference_rows + int(line.end) > 12_000


def test_california_housing() -> None:
    """Blocks that are sorted by place differ from window to window on the reference as well: no drift can be told."""
    roles = Roles("y_pred", "y_pred_proba", "clf_target", "timestamp", "id")
    reference, current, labels = (
        DATA / f"california_housing_{name}.csv" for name in ("reference", "analysis", "labels")
    )
    report = judge(reference, current, labels, roles).report
    assert report.verdict is Verdict.HEALTHY
    assert all(line.labelled == line.rows for line in report.windows)
    assert any(reason.startswith("Longitude") for reason in report.reasons)
