"""A contract that breaks others answers beside the old one, under a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.control import deployments, releases, standings
from tenfold.control.beside import origin, proposed, put
from tenfold.control.stores import opened
from tenfold.errors import Conflict, UsageError
from tenfold.store import Act
from tests.cli.conftest import Run
from tests.releases.serving import PATIENCE_S, deploy, events, push, served, until
from tests.releases.test_push import edit


@pytest.fixture
def breaking(service: Path) -> Path:
    """A service whose first release answers, and whose second one refuses what the first one takes."""
    releases.push(str(service))
    edit(service, "Le(100)", "Le(50)")
    releases.push(str(service))
    with opened(str(service)) as store:
        first = store.releases.by_number("double", 1)
        assert first is not None
        store.pointers.move("double", first.id, Act("anna", "deploy"), expected=0)
    return service


def beside(store: Path, name: str, other_name: str = "") -> str:
    """Deploy a release that breaks others, as if a server did at once what is asked; by the name that it gets."""
    asked = deployments.deploy(name, str(store), accept_breaking=True, other_name=other_name)
    assert asked.rollout is not None
    with opened(str(store)) as one:
        generation = asked.current and one.pointers.get(asked.release.service)
        one.pointers.move(
            asked.release.service,
            asked.release.id,
            Act("tenfold", "promote"),
            expected=generation.generation if generation else 0,
        )
        one.rollouts.change(asked.rollout, "promoted", Act("tenfold", "promoted"), ended=True)
    return asked.release.name


def test_a_plan_names_the_service_beside_and_does_nothing(breaking: Path, run: Run) -> None:
    """Whom it breaks, what goes on where, what it is called, and the command that does so."""
    shown = run("deploy", "double@2", "--plan", "--accept-breaking", "--store", breaking).out
    assert "breaks     /x: at most 100 → at most 50" in shown
    assert "beside     double@1" in shown
    assert "as         double-2@1, at /double-2" in shown
    assert "after      nothing: it is the first" in shown
    there = f"--store {breaking / '.tenfold'}"
    assert f"next       tenfold deploy double@2 --from double@1 --accept-breaking {there}\n" in shown
    said = run("deploy", "@2", "--plan", "--accept-breaking", "--as", "half", "--store", breaking, "--json").json()
    assert (said["service"], said["release"], said["beside"]["stays"]) == ("half", "half@1", "double@1")
    with opened(str(breaking)) as store:
        assert store.releases.services() == ["double"]


def test_what_breaks_others_is_a_release_of_its_own_service(breaking: Path, run: Run) -> None:
    """The same parts and id, the first of another service; what answers is left alone, and the record says both."""
    done = run("deploy", "double@2", "--accept-breaking", "--store", breaking, "--from", "double@1")
    assert done.code == 0, done.err
    assert "deploying  double-2@1" in done.out
    assert "beside     double@1, which goes on at /double; this is /double-2" in done.out
    with opened(str(breaking)) as store:
        made, pushed = store.releases.latest("double-2"), store.releases.latest("double")
        assert made is not None
        assert pushed is not None
        assert (made.id, made.parts, made.number) == (pushed.id, pushed.parts, 1)
        assert (store.spec(made).name, store.spec(pushed).name) == ("double-2", "double")
        assert origin(store, "double-2") == "double"
        assert store.rollouts.open("double") is None
        rollout = store.rollouts.open("double-2")
        assert rollout is not None
        assert (rollout.to, rollout.from_) == (made.id, "")
        last = store.events.list("double")[-1]
        assert last.what == "beside"
        assert "double@1 goes on, and double@2 answers as double-2@1: /x: at most 100" in last.why
        assert store.events.verify()


def test_what_follows_joins_the_service_that_it_does_not_break(breaking: Path) -> None:
    """The next release of the new contract follows there; one that breaks that, too, gets the next name."""
    assert beside(breaking, "@2") == "double-2@1"
    edit(breaking, "* 2", "* 3")
    releases.push(str(breaking))
    assert beside(breaking, "double@3") == "double-2@2"
    edit(breaking, "Le(50)", "Le(20)")
    releases.push(str(breaking))
    assert beside(breaking, "double@4") == "double-3@1"
    assert deployments.rollback("double-2", str(breaking)).release.name == "double-2@1"
    with opened(str(breaking)) as store:
        assert origin(store, "double-3") == "double"
        assert standings.held(store, "double-2")
        assert not standings.held(store, "double")


def test_what_is_made_of_two_releases_stays_beside(breaking: Path) -> None:
    """A release that a service beside gets in another way, such as by --code-only, changes nothing about where it answers."""
    assert beside(breaking, "@2") == "double-2@1"
    with opened(str(breaking)) as store:
        first = store.releases.latest("double-2")
        assert first is not None
        assert first.spec is not None
        made, _ = store.releases.add(
            "double-2", {**first.parts, "other": first.parts["code"]}, who="anna", spec=first.spec
        )
        pointer = store.pointers.get("double-2")
        assert pointer is not None
        store.pointers.move("double-2", made.id, Act("anna", "deploy"), expected=pointer.generation)
        assert origin(store, "double-2") == "double"


def test_a_release_that_is_examined_under_its_own_name_goes_on_beside(breaking: Path) -> None:
    """Whoever deployed it plainly, and then says --accept-breaking, has one rollout on its way, and not two of which one will
    be refused."""
    for state in ("pending", "gating"):
        asked = deployments.deploy("double@2", str(breaking))
        assert asked.rollout is not None
        with opened(str(breaking)) as store:
            if state == "gating":
                store.rollouts.change(asked.rollout, state, Act("tenfold", "examine"))
            assert deployments.deploy("double@2", str(breaking), accept_breaking=True).release.name == "double-2@1"
            assert store.rollouts.open("double") is None
            other = store.rollouts.open("double-2")
            assert other is not None
            assert store.rollouts.list("double")[0].state == "replaced"
            assert "it is to answer beside double@1, as double-2@1" in store.events.list("double")[-2].why
            store.rollouts.change(other, "refused", Act("tenfold", "refuse"), ended=True)


def test_a_held_service_holds_what_would_answer_beside(breaking: Path) -> None:
    """Somebody took a release back: nothing of it deploys itself until they say so, under whatever name."""
    with opened(str(breaking)) as store:
        store.events.append(Act("anna", "rollback", "not today"), service="double")
    with pytest.raises(Conflict, match="double is held since anna") as held:
        deployments.deploy("double@2", str(breaking), automatic=True, accept_breaking=True)
    assert held.value.hint == f"tenfold resume double --store {breaking / '.tenfold'}"
    with opened(str(breaking)) as store:
        assert store.releases.services() == ["double"]


def test_a_name_is_refused_that_another_service_has(breaking: Path) -> None:
    """Nobody's clients are given another contract by the way, and no route of the server is taken."""
    assert beside(breaking, "@2", other_name="half") == "half@1"
    with pytest.raises(UsageError, match="cannot be the name"):
        deployments.deploy("double@2", str(breaking), accept_breaking=True, other_name="double")
    with pytest.raises(UsageError, match="cannot be the name"):
        deployments.deploy("double@2", str(breaking), accept_breaking=True, other_name="v2")
    edit(breaking, "Le(50)", "Le(20)")
    releases.push(str(breaking))
    with pytest.raises(Conflict, match="half is a service already"):
        deployments.deploy("double@3", str(breaking), accept_breaking=True, other_name="half")


def test_of_two_deployers_at_once_one_is_told(breaking: Path) -> None:
    """Each was promised the same free name: the second gets none that the first one's clients will ask."""
    edit(breaking, "Le(50)", "Le(20)")
    releases.push(str(breaking))
    with opened(str(breaking)) as store:
        first, *pushed = [store.releases.by_number("double", number) for number in (1, 2, 3)]
        plans = [(one, proposed(store, one, first)) for one in pushed if one is not None]
        (quick, its), (slow, same) = plans
        assert its is not None
        assert same is not None
        assert put(store, quick, its).name == "double-2@1"
        with pytest.raises(Conflict, match="double-2 was taken meanwhile"):
            put(store, slow, same)
        assert len(store.releases.list("double-2")) == 1


def test_what_breaks_nobody_takes_over_as_ever(service: Path) -> None:
    """There is nothing to accept."""
    releases.push(str(service))
    assert beside(service, "@1") == "double@1"
    edit(service, "* 2", "* 3")
    releases.push(str(service))
    assert beside(service, "double@2") == "double@2"


@pytest.mark.slow
def test_both_contracts_are_served(tmp_path: Path, run: Run) -> None:
    """Each at its own name, from one server; who asks without a name gets what was there first. They move apart."""
    store = tmp_path / "multiply"
    push(store, 2)
    edit(store, "Ge(0)", "Ge(1)")
    releases.push(str(store))
    with served(store) as server:
        deploy("@1", store)
        plain = deployments.deploy("multiply@2", str(store))
        assert deployments.taken_up(plain)  # and is examined meanwhile
        deploy("multiply@2", store, accept_breaking=True)
        ended = deployments.ended(plain)
        assert ended is not None
        assert ended.rollout.state == "replaced"
        until(lambda: server.ask("/multiply-2/predict", {"x": 1}).status == 200, "an answer of the second")
        first, second = server.ask("/multiply/predict", {"x": 0}), server.ask("/multiply-2/predict", {"x": 0})
        assert (first.status, second.status) == (200, 422)
        assert first.json["release"].startswith("multiply@")
        assert server.ask("/multiply-2/predict", {"x": 1}).json["release"].startswith("multiply-2@")
        assert server.ask("/predict", {"x": 0}).status == 200
        assert server.ask("/multiply-2/contract").json != server.ask("/multiply/contract").json
        (store / "service.py").write_text((store / "service.py").read_text().replace("TIMES = 2", "TIMES = 5"))
        releases.push(str(store))
        deploy("multiply@3", store, accept_breaking=True)
        assert server.ask("/multiply-2/predict", {"x": 1}).json["output"]["times"] == 5
        assert server.ask("/multiply/predict", {"x": 1}).json["output"]["times"] == 2
        deployments.wait(deployments.rollback("multiply-2", str(store)), PATIENCE_S)
        assert server.ask("/multiply-2/predict", {"x": 1}).json["output"]["times"] == 2
    assert "rollback" not in events(store)
    assert "multiply-2" in run("status", "--store", store).out
    with served(store, "multiply") as server:  # and what answers beside it
        until(lambda: server.ask("/multiply-2/predict", {"x": 1}).status == 200, "an answer after a restart")
        assert server.ask("/predict", {"x": 0}).status == 200
