"""Releases before their gates: each loaded in a process of its own, and let through or held up for a reason that is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tenfold.control import gates, releases
from tenfold.engines import room
from tenfold.errors import GateFailed
from tenfold.store import Store
from tenfold.store.records import Gate
from tests.cli.conftest import Run
from tests.gates.conftest import deployed, edit, pushed
from tests.server.running import serve

pytestmark = pytest.mark.slow


def by_name(said: list[Gate]) -> dict[str, Gate]:
    """What each gate said."""
    return {gate.name: gate for gate in said}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('order="RGB"', 'order="BGR"'),
        ('resample="box"', 'resample="bilinear"'),
        ("size=(8, 8)", 'size=(8, 8),\n    exif="ignore"'),
    ],
    ids=["BGR for RGB", "another filter", "EXIF ignored"],
)
def test_a_picture_that_is_decoded_otherwise_is_held_up(digits: Path, store: Store, was: str, now: str) -> None:
    """The service is edited after training, and nothing would raise: the stage that differs is named, and no traffic is
    taken."""
    edit(digits / "service.py", {was: now})
    said = gates.run(store, pushed(digits, store))
    golden = by_name(said)["golden"]
    assert golden.verdict == "failed"
    assert golden.because.startswith("pictures differs: 0 of 20 equal; the first stage that differs is pictures")
    assert gates.held_up(said) == [golden]
    assert gates.evidence(store, golden)["diverged"] == "pictures"


def test_what_was_trained_as_it_is_served_passes(digits: Path, store: Store) -> None:
    """The release of the training itself passes, and is told what its answers depend on, and that training has shown that
    these are as they were; everything is kept in the store."""
    release = deployed(digits, store)
    told: list[Gate] = []
    said = gates.run(store, release, release, told=told.append)
    assert said == told == list(store.gates.of(release.service, release.id))
    verdicts = {gate.name: gate.verdict for gate in said}
    assert list(verdicts) == list(gates.NAMES)
    assert {name for name, verdict in verdicts.items() if verdict != "passed"} == {"capacity"}
    skew = by_name(said)["skew"]
    tried = {one["name"]: one for one in gates.evidence(store, skew)["tried"]}
    assert set(tried) == {"colours", "resize", "turn", "jpeg"}
    assert tried["colours"]["labels"] > 0
    assert "BGR for RGB (picture)" in skew.because
    assert by_name(said)["predictions"].because == "equal in 20 rows"
    assert gates.swap(store, said) == "overlap"


def test_the_first_release_has_nothing_to_be_held_against(double: Path, store: Store) -> None:
    """Contract and predictions pass, golden records and capacity are open: nothing stops it."""
    said = gates.run(store, pushed(double, store))
    assert gates.held_up(said) == []
    assert {gate.name for gate in said if gate.verdict == "unproven"} == {"golden", "skew"}


def test_a_release_that_does_not_load_dies_or_is_altered_is_held_up(double: Path, store: Store) -> None:
    """What the code raises, how its process ended and what was tampered with is said; whoever asks is not hurt."""
    load = 'self.offset = json.loads((self.folder / "offset.json").read_text())'
    edit(double / "service.py", {load: 'raise ValueError("no table")'})
    [*_, broken] = gates.run(store, pushed(double, store))
    assert (broken.name, broken.verdict) == ("golden", "failed")
    assert "no table" in broken.because
    edit(double / "service.py", {'raise ValueError("no table")': "__import__('os').kill(__import__('os').getpid(), 9)"})
    dead = pushed(double, store)
    [*_, died] = gates.run(store, dead)
    assert "ended with SIGKILL" in died.because
    blob = store.folder / "blobs" / dead.parts["code"][:2] / dead.parts["code"]
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    shutil.rmtree(store.home(dead))
    [altered] = gates.run(store, dead)
    assert (altered.name, altered.verdict) == ("digests", "failed")
    assert "altered" in altered.because


def test_libraries_that_cannot_be_had_hold_it_up(double: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not resolve is said before anything is loaded."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    edit(double / "pyproject.toml", {'"numpy"': '"numpy==0.0.1"'})
    said = gates.run(store, pushed(double, store))
    assert [(gate.name, gate.verdict) for gate in said] == [("digests", "passed"), ("environment", "failed")]
    assert "numpy" in said[-1].because


def test_a_signature_that_is_asked_for_has_to_be_there(
    double: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that nobody signed goes nowhere where a signature is asked for, by a command or for all that is served."""
    key, public = tmp_path / "key.pem", tmp_path / "key.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    [unsigned] = gates.run(store, pushed(double, store), signed_by=(public,))
    assert (unsigned.name, unsigned.verdict) == ("digests", "failed")
    assert "not signed" in unsigned.because
    monkeypatch.setenv("TENFOLD_SIGNED_BY", str(public))
    [refused] = gates.run(store, pushed(double, store))
    assert "not signed" in refused.because
    with pytest.raises(GateFailed, match="signed by no key"):
        store.materialise(pushed(double, store))
    signed = releases.push(str(double), store.place, key=key).release
    assert by_name(gates.run(store, signed))["digests"].because.startswith("every file is what was pushed, signed by")


def test_traffic_of_before_is_answered_once_more(double: Path, store: Store, tmp_path: Path) -> None:
    """Requests of the journal are sent to the new release: one that refuses them, one that answers them with an error, and
    one that gives all the same answer are held up; one that moves a little is let through."""
    edit(double / "service.py", {"Contract, Ge": "Contract, Drift, Ge"})
    edit(double / "service.py", {"    input, output": '    drift = Drift(journal="inputs")\n    input, output'})
    with serve(double, log=tmp_path / "log") as server:
        for x in range(30):
            assert server.ask("/double/predict", {"x": x}).status == 200
    first = deployed(double, store)

    def judged(was: str, now: str) -> dict[str, Gate]:
        before = (double / "service.py").read_text()
        edit(double / "service.py", {was: now})
        release = pushed(double, store)
        (double / "service.py").write_text(before)
        return by_name(gates.run(store, release, first, journal=double))

    narrower = judged("Le(100)", "Le(20)")["contract"]
    assert narrower.verdict == "failed"
    assert "/x: at most 100 → at most 20: requests that were taken are refused" in narrower.because
    assert "9 of 30 requests of before are refused, 9 of them out_of_range at /x" in narrower.because
    assert gates.held_up([narrower], accept_breaking=True) == []
    raising = judged("np.asarray(scores) + self.offset", "scores + self.offset if scores.max() < 50 else [][0]")
    assert raising["contract"].verdict == "passed"
    assert raising["predictions"].verdict == "failed"
    assert "requests that are answered now get no answer" in raising["predictions"].because
    dead = judged("np.asarray(scores) + self.offset", "0 * np.asarray(scores)")["predictions"]
    assert dead.because.startswith("one and the same answer to all 30 rows")
    moved = judged("* 2", "* 2.001")["predictions"]
    assert moved.verdict == "passed"
    assert "numbers move by at most 0.029" in moved.because


def test_a_promise_goes_along_with_what_was_measured(double: Path, store: Store, tmp_path: Path) -> None:
    """A benchmark of this very folder is pushed with it, and proves or disproves what it promises."""
    edit(
        double / "service.py", {"    input, output": '    capacity = Capacity(at_least="50 rows/s")\n    input, output'}
    )
    edit(double / "service.py", {"Contract, Ge": "Capacity, Contract, Ge"})
    assert by_name(gates.run(store, pushed(double, store)))["capacity"].verdict == "unproven"
    from datetime import UTC, datetime

    from tenfold.answers import evidence
    from tenfold.capacity.card import Card
    from tenfold.service import find, spec

    measured = evidence.Capacity(card=Card(rows_per_s=80.0, deadline_s=0.1))
    evidence.keep(double, spec(find(str(double))), datetime.now(UTC), measured)
    capacity = by_name(gates.run(store, pushed(double, store)))["capacity"]
    assert (capacity.verdict, capacity.because) == ("passed", "50 rows/s promised, 80 rows/s shown")


def test_the_command_says_it_line_by_line(double: Path, run: Run) -> None:
    """Each gate has a line with its mark, the exit code is 6 where one fails, and --json has it all for a program."""
    assert run("push", str(double)).code == 0
    nobody = run("gates", str(double), "--last")
    assert (nobody.code, "nobody has asked" in nobody.err) == (4, True)
    passed = run("gates", str(double))
    assert passed.code == 0, passed
    assert run("gates", str(double), "--last").out == passed.out
    assert "open   golden" in passed.out
    assert "tenfold deploy double@1" in passed.out
    edit(double / "service.py", {"self.offset = json": "raise ValueError(json"})
    edit(double / "service.py", {".read_text())": ".read_text()))"})
    assert run("push", str(double)).code == 0
    failed = run("gates", str(double), "--json")
    assert failed.code == 6
    document = json.loads(failed.out.splitlines()[0])
    assert (document["release"], document["passed"]) == ("double@2", False)
    assert document["gates"][-1]["name"] == "golden"
    assert document["gates"][0]["evidence"]["parts"]["code"]


def test_the_room_that_is_left_is_that_of_the_group(tmp_path: Path) -> None:
    """In a container it is the container's limit that counts, less what it has and cannot give back."""
    whole = room.free_bytes(tmp_path)
    assert whole is None or whole > 0
    for name, said in {
        "memory.max": "1000\n",
        "memory.current": "900\n",
        "memory.stat": "anon 700\ninactive_file 150\n",
    }.items():
        (tmp_path / name).write_text(said)
    assert room.free_bytes(tmp_path) == 250
    (tmp_path / "memory.max").write_text("max\n")
    assert room.free_bytes(tmp_path) == pytest.approx(whole, rel=0.5) if whole else True
