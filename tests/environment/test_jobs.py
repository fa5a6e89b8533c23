"""Jobs of releases with libraries of their own, asked for over HTTP."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pyarrow import parquet

from tenfold.store import Store
from tests.environment.conftest import asking, pushed, repack
from tests.releases.serving import deploy, served
from tests.server.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_job_is_done_by_the_release_that_answered_when_it_came(
    folder: Path, store: Store, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of a deployed release waits in the server's store, and is answered with the libraries that the release asks for,
    of which the server itself has others."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "greeting.py").write_text("OFFSET = 0\n")
    monkeypatch.syspath_prepend(tmp_path / "beside")
    repack(index, "pyarrow")
    release = pushed(asking(folder, "greeting==1.0", "pyarrow"), store)
    with served(store.folder) as server:
        deploy(release.name, store.folder, now=True)
        until(lambda: server.ask("/greet/predict", {"x": 40}).status == 200, "the release")
        job = server.ask("/greet/jobs", b"x\n40\n41\n", {"content-type": "text/csv"}).json
        [known] = store.jobs.list("greet")
        assert (known.id, known.plan["release"]) == (job["id"], release.id)

        def ended() -> bool:
            now = server.ask(job["url"]).json
            assert now["state"] != "failed", now
            return bool(now["state"] == "done")

        until(ended, "the end of the job")
        answers = parquet.read_table(io.BytesIO(server.ask(f"{job['url']}/part-00000.parquet").body))
    assert answers["y"].to_pylist() == [41.0, 42.0]
