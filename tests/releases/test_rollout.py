"""What comes next for a release on its way, whatever happens to it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tenfold.releases import Releases
from tenfold.releases.actions import Action, Bake, Drain, Load, Promote, RollBack, Shadow, Shift, Unload, Wait, Warm
from tenfold.releases.counting import counted
from tenfold.releases.evidence import BLOCK, Evidence, Guard, Tally
from tenfold.releases.policy import next_action
from tenfold.releases.rollout import Presence, Snapshot, Stage, State
from tenfold.releases.shadow import Comparison
from tests.releases.world import World

FIRST = State(old="a@1", new="a@2")
POLICIES = [
    Releases(),
    Releases(steps=()),
    Releases("auto", shadow_requests=0, after_patience="promote"),
    Releases("external"),
    Releases(steps=("5%",), bake="0 s", after_patience="rollback", guard_rails=("errors", "labels")),
]

counts = st.integers(0, 5000)
tallies = st.builds(
    lambda new_bad, new_of, old_bad, old_of: Tally(min(new_bad, new_of), new_of, min(old_bad, old_of), old_of),
    *(counts, counts, counts, counts),
)
reported: list[Guard] = [guard for guard in Guard if guard != Guard.ANY]
by_guard = st.dictionaries(st.sampled_from(reported), tallies)
snapshots = st.builds(
    Snapshot,
    old=st.sampled_from(Presence),
    new=st.sampled_from(Presence),
    percent=st.sampled_from([0.0, 1.0, 5.0, 10.0, 50.0, 100.0]),
    promoted=st.booleans(),
    shadowing=st.booleans(),
    tallies=by_guard,
    shadow=st.builds(Comparison, counts, st.integers(0, 50), st.integers(0, 50)),
    requests_per_s=st.floats(0, 1e5),
    failure=st.sampled_from(["", "it ended with 3"]),
    asked=st.sampled_from(["", "promote", "rollback"]),
)


@st.composite
def states(draw: st.DrawFn, policy: Releases) -> State:
    """A state that a rollout with this policy may be in."""
    evidence = {guard: Evidence().after(tally) for guard, tally in draw(by_guard).items()}
    steps = policy.ratios if draw(st.booleans()) else ()
    return State(
        old=draw(st.sampled_from(["", "a@1"])),
        new="a@2",
        stage=draw(st.sampled_from(Stage)),
        since=draw(st.none() | st.floats(0, 2e9)),
        steps=steps,
        step=draw(st.integers(0, max(len(steps) - 1, 0))),
        evidence=evidence,
        seen=draw(by_guard),
        because=draw(st.sampled_from(["", "it was asked for"])),
    )


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: str(policy.steps))
@given(data=st.data())
def test_whatever_is_seen_there_is_something_to_do_and_a_reason(policy: Releases, data: st.DataObject) -> None:
    """No look at a deployment, however odd, leaves a rollout without a next step that it can explain."""
    seen, state = data.draw(snapshots), data.draw(states(policy))
    now = data.draw(st.floats(0, 2e9))
    action, after = next_action(seen, policy, state, now)
    assert action.reason
    assert (action, after) == next_action(seen, policy, state, now)
    assert msgspec.json.decode(msgspec.json.encode(after), type=State) == after
    assert msgspec.json.decode(msgspec.json.encode(action), type=Action) == action
    if state.outcome != "running":
        assert after.outcome == state.outcome


@given(data=st.data())
def test_nobody_is_sent_where_nobody_answers(data: st.DataObject) -> None:
    """Traffic is only ever given to a release that is ready, and taken from a release before that is ended."""
    policy = data.draw(st.sampled_from(POLICIES))
    seen, state = data.draw(snapshots), data.draw(states(policy))
    action, _ = next_action(seen, policy, state, 1e9)
    match action:
        case Shift(percent=percent) if percent:
            assert seen.new is Presence.READY
            assert percent == 100 or seen.old is Presence.READY
        case Drain(release="a@1") | Unload(release="a@1"):
            assert seen.new is Presence.READY
            assert seen.promoted
            assert seen.percent == 100
        case Drain(release="a@2") | Unload(release="a@2"):
            assert seen.percent == 0
            assert not seen.promoted
        case Promote():
            assert seen.new is Presence.READY
            assert seen.percent == 100
        case RollBack():
            ready = (Presence.READY, Presence.DRAINING, Presence.DRAINED)
            assert seen.old in ready or not state.old or seen.new in (Presence.FAILED, Presence.ABSENT)


@given(st.sampled_from([stage for stage in Stage if stage not in (Stage.PROMOTED, Stage.ROLLED_BACK)]), snapshots)
def test_a_rollout_can_be_taken_back_until_the_old_release_is_gone(stage: Stage, seen: Snapshot) -> None:
    """A rollback that is asked for is never too early, and too late only once there is nothing to go back to."""
    seen = replace(seen, asked="rollback")
    _, after = next_action(seen, Releases(), replace(FIRST, stage=stage, steps=(0.5,)), 1e9)
    if stage is Stage.RETIRING and seen.promoted and seen.old is Presence.ABSENT:
        assert after.stage is Stage.PROMOTED
    else:
        assert after.stage in (Stage.TURNING_BACK, Stage.ROLLED_BACK)


def go(world: World, policy: Releases, state: State = FIRST, looks: int = 500) -> State:
    """Look, do, and look again, until the rollout ends."""
    for _ in range(looks):
        action, state = next_action(world.seen, policy, state, world.now)
        world.act(action)
        if state.outcome != "running":
            break
        world.pass_s(action.until - world.now + 1 if isinstance(action, Bake) else 1.0)
    return state


def kinds(world: World) -> list[str]:
    """What was done, without the waiting, each in a word."""
    words = [type(action).__name__ for action in world.done if not isinstance(action, Wait | Bake)]
    return [word for k, word in enumerate(words) if k == 0 or word != words[k - 1] or word == "Shift"]


def test_a_good_release_takes_over_step_by_step() -> None:
    """Load, warm, compare, 1, 10, 50 and 100 %, and only then does the old release go."""
    world = World(per_look=20_000)
    state = go(world, Releases())
    assert state.outcome == "promoted"
    assert kinds(world) == [*("Load", "Warm", "Shadow"), *["Shift"] * 4, "Promote", "Drain", "Unload"]
    assert [action.percent for action in world.done if isinstance(action, Shift)] == [1, 10, 50, 100]
    assert (world.seen.new, world.seen.old) == (Presence.READY, Presence.ABSENT)


def test_a_harmful_release_is_taken_back() -> None:
    """A release that fails one request in ten, where one in two hundred failed, goes at the first step, and says why."""
    world = World(per_look=2000, new_bad=10, old_bad=200)
    state = go(world, Releases())
    assert state.outcome == "rolled_back"
    assert max(action.percent for action in world.done if isinstance(action, Shift)) == 1
    assert "requests to a@2 failed" in state.because
    assert (world.seen.percent, world.seen.new, world.seen.old) == (0, Presence.ABSENT, Presence.READY)


def test_copies_alone_may_show_harm() -> None:
    """A release that fails what the old one answers goes before anybody is sent to it."""
    seen = Snapshot(
        old=Presence.READY, new=Presence.READY, shadowing=True, shadow=Comparison(compared=20, new_failed=12)
    )
    action, state = next_action(seen, Releases(), replace(FIRST, stage=Stage.SHADOWING, since=0.0), 1.0)
    assert isinstance(action, RollBack)
    assert state.because == "a@2 alone failed 12 of 20 requests that it was asked beside a@1"


def test_a_release_that_does_not_start_goes_at_once() -> None:
    """Where the model cannot be loaded, the old release goes on, and the reason is said."""
    world = World()
    _, state = next_action(world.seen, Releases(), FIRST, 0.0)
    world.see(new=Presence.FAILED, failure="model.onnx is damaged")
    state = go(world, Releases(), state)
    assert state.outcome == "rolled_back"
    assert state.because == "a@2 failed: model.onnx is damaged"
    assert world.seen.percent == 0


def test_the_first_release_has_nobody_to_be_compared_with() -> None:
    """Where nothing runs, a release takes all traffic once it is ready."""
    world = World(seen=Snapshot())
    assert go(world, Releases(), State(old="", new="a@2")).outcome == "promoted"
    assert kinds(world) == ["Load", "Warm", "Shift", "Promote"]


def test_a_release_takes_over_where_the_old_one_cannot_answer() -> None:
    """A canary is no reason for an outage: if the old release is past help, the new one gets the traffic."""
    world = World()
    world.see(old=Presence.FAILED)
    assert go(world, Releases()).outcome == "promoted"
    assert kinds(world) == ["Load", "Warm", "Shift", "Promote", "Unload"]


def test_harm_that_shows_at_full_traffic_alone_is_found_in_the_bake() -> None:
    """The old release is warm still, so that it answers within a moment."""
    world = World(per_look=20_000, old_bad=500)
    state = FIRST
    for _ in range(60):
        action, state = next_action(world.seen, Releases(), state, world.now)
        world.act(action)
        if state.stage is Stage.BAKING and world.seen.percent == 100:
            world.new_bad = 50
        if state.outcome != "running":
            break
        world.pass_s(1.0)
    assert state.outcome == "rolled_back"
    assert [action.percent for action in world.done if isinstance(action, Shift)] == [1, 10, 50, 100]
    assert not any(isinstance(action, Load) and action.release == "a@1" for action in world.done)


def test_a_person_may_cut_it_short() -> None:
    """``--now`` takes over at once, and the pointer moves after the release has all traffic."""
    world = World(per_look=1)
    world.see(asked="promote")
    assert go(world, Releases()).outcome == "promoted"
    assert kinds(world) == ["Load", "Warm", "Shift", "Promote", "Drain", "Unload"]


def test_another_system_decides() -> None:
    """With ``external``, a release is made ready and then left alone, until it is asked for."""
    world = World()
    state = go(world, Releases("external"), looks=20)
    assert kinds(world) == ["Load", "Warm"]
    assert world.done[-1] == Wait("another system decides when a@2 takes over")
    world.see(asked="promote")
    assert go(world, Releases("external"), state).outcome == "promoted"


@pytest.mark.parametrize(
    ("then", "outcome"), [("promote", "promoted"), ("rollback", "rolled_back"), ("hold", "running")]
)
def test_patience_ends_as_declared(then: str, outcome: str) -> None:
    """A service that hardly anybody asks gets no verdict; what then is its owner's to say."""
    policy = msgspec.convert({"patience": "10 s", "after_patience": then}, Releases)
    world = World(per_look=2)
    world.see(requests_per_s=2.0)
    state = go(world, policy, looks=400)
    assert state.outcome == outcome
    if then == "hold":
        last = world.done[-1]
        assert isinstance(last, Wait)
        assert last.reason.startswith("held, no verdict within 10 s; canary at 1 %: ")
        assert last.fix == 'Releases(steps=("50%",)) or tenfold deploy a --now'
    if then == "rollback":
        assert state.because == "no verdict within 10 s"


def test_a_quiet_service_is_told_how_long_it_takes() -> None:
    """How many requests are needed, how many there are, how long that takes, and what to do about it: in one line."""
    state = replace(FIRST, stage=Stage.STEPPING, steps=(0.01, 0.1, 0.5), since=0.0)
    seen = Snapshot(
        old=Presence.READY,
        new=Presence.READY,
        percent=1.0,
        tallies={Guard.ERRORS: Tally(0, 3, 0, 297)},
        requests_per_s=0.01,
    )
    state = replace(state, evidence={Guard.ERRORS: Evidence()}, seen={Guard.ERRORS: Tally()})
    action, _ = next_action(seen, Releases(), state, 3600.0)
    assert isinstance(action, Wait)
    assert action.reason == "canary at 1 %: 3 of about 440 requests; at this traffic 50 days"
    assert action.fix == 'Releases(steps=("50%",)) or tenfold deploy a --now'
    action, _ = next_action(replace(seen, requests_per_s=0.0), Releases(), state, 3600.0)
    assert action.reason == "canary at 1 %: 3 of about 440 requests; no traffic now"


def test_steps_choose_themselves() -> None:
    """Much traffic is moved carefully; little traffic goes by halves, since a hundredth of it shows nothing."""
    chosen = {}
    for rate in (10_000.0, 10.0, 0.01):
        world = World()
        world.see(requests_per_s=rate)
        go(world, Releases("auto"), looks=20)
        chosen[rate] = next(action.percent for action in world.done if isinstance(action, Shift))
    assert chosen == {10_000.0: 1, 10.0: 10, 0.01: 50}


events = st.lists(st.sampled_from(["look", "restart", "act unseen", "save lost"]), max_size=40)


@given(events, st.sampled_from(POLICIES), st.sampled_from([(0, 0), (3, 1000), (50, 50)]))
@settings(max_examples=60)
def test_a_rollout_survives_being_killed_at_any_moment(
    happens: list[str], policy: Releases, bad: tuple[int, int]
) -> None:
    """Whatever is killed between a look, a save and an action, the rollout ends with one release in service."""
    if policy.external:
        policy = replace(policy, steps=("10%",))
    world, state = World(per_look=20_000, new_bad=bad[0], old_bad=bad[1]), FIRST
    for event in happens:
        action, after = next_action(world.seen, policy, state, world.now)
        if event == "restart":
            world.restart()
        if event != "save lost":
            state = msgspec.json.decode(msgspec.json.encode(after), type=State)
            if event == "look":
                world.act(action)
        world.pass_s(1.0)
    state = go(world, policy, state)
    assert state.outcome != "running"
    in_service = (world.seen.old, world.seen.new, world.seen.percent, world.seen.promoted)
    assert in_service == (
        (Presence.ABSENT, Presence.READY, 100, True)
        if state.outcome == "promoted"
        else (Presence.READY, Presence.ABSENT, 0, False)
    )


def test_a_recorded_rollout_replays() -> None:
    """The same looks at the same times give the same actions, however often the state was saved and read."""
    looks: list[tuple[Snapshot, float]] = []
    world, state = World(per_look=5000, new_bad=900, old_bad=1000), FIRST
    for _ in range(200):
        looks.append((world.seen, world.now))
        action, state = next_action(world.seen, Releases(), state, world.now)
        world.act(action)
        world.pass_s(60.0)
    recorded = msgspec.json.encode(looks)
    again, actions = FIRST, []
    for seen, now in msgspec.json.decode(recorded, type=list[tuple[Snapshot, float]]):
        action, again = next_action(seen, Releases(), again, now)
        again = msgspec.json.decode(msgspec.json.encode(again), type=State)
        actions.append(action)
    assert actions == world.done
    assert again == state


def test_requests_of_two_shares_are_never_counted_together() -> None:
    """What came between the order of a shift and the moment that it was seen counts for neither share."""
    tallies = {Guard.ERRORS: Tally(50, 100, 0, 100)}
    seen = Snapshot(old=Presence.READY, new=Presence.READY, percent=10.0, tallies=tallies)
    state = replace(FIRST, stage=Stage.STEPPING, steps=(0.01, 0.1), step=1, seen={Guard.ERRORS: Tally()})
    _, after = next_action(seen, Releases(), state, 5.0)
    assert after.evidence[Guard.ERRORS] == Evidence()
    assert (after.seen[Guard.ERRORS], after.since) == (tallies[Guard.ERRORS], 5.0)


def test_labels_count_when_they_come() -> None:
    """A label that arrives while the traffic is moved is about an answer of long ago, and is not lost."""
    tallies = {Guard.ERRORS: Tally(0, 100, 0, 100), Guard.LABELS: Tally(4, 40, 5, 50)}
    seen = Snapshot(old=Presence.READY, new=Presence.READY, percent=10.0, tallies=tallies)
    state = replace(FIRST, stage=Stage.STEPPING, steps=(0.01, 0.1), step=1, seen=dict.fromkeys(tallies, Tally()))
    _, state = next_action(seen, Releases(), state, 5.0)
    _, state = next_action(seen, Releases(), state, 6.0)
    assert state.evidence[Guard.LABELS].counts == tallies[Guard.LABELS]
    assert state.evidence[Guard.ERRORS].counts == Tally()


@given(st.lists(st.sampled_from(["new good", "new bad", "old good", "old bad"]), max_size=300))
def test_more_looks_change_nothing(requests: list[str]) -> None:
    """Who looks after every request sees the same evidence as who looks after each block of them."""
    often = seldom = replace(FIRST, stage=Stage.STEPPING, steps=(0.5,), since=0.0, seen={Guard.ERRORS: Tally()})
    counts = dict.fromkeys(["new good", "new bad", "old good", "old bad"], 0)
    for k, request in enumerate(requests, 1):
        counts[request] += 1
        new, old = counts["new bad"] + counts["new good"], counts["old bad"] + counts["old good"]
        tallies = {Guard.ERRORS: Tally(counts["new bad"], new, counts["old bad"], old)}
        seen = Snapshot(old=Presence.READY, new=Presence.READY, percent=50.0, tallies=tallies)
        often = counted(seen, Releases(), often)
        if k % BLOCK == 0:
            seldom = counted(seen, Releases(), seldom)
    none = Evidence()
    assert often.evidence.get(Guard.ERRORS, none) == seldom.evidence.get(Guard.ERRORS, none)


def test_warm_is_asked_of_what_is_loaded() -> None:
    """A release whose server was killed in the middle of a step is brought back before it gets its share again."""
    state = replace(FIRST, stage=Stage.STEPPING, steps=(0.1,), since=0.0)
    seen = Snapshot(old=Presence.READY, new=Presence.LOADED, percent=10.0)
    action, state = next_action(seen, Releases(), state, 1.0)
    assert action == Shift("a@2 is loaded", 0.0)
    action, state = next_action(replace(seen, percent=0.0), Releases(), state, 2.0)
    assert isinstance(action, Warm)
    action, state = next_action(replace(seen, percent=0.0, new=Presence.READY), Releases(), state, 3.0)
    assert isinstance(action, Shift)
    assert action.percent == 10


def test_shadowing_ends_for_want_of_requests() -> None:
    """A quiet service is not compared for ever."""
    seen = Snapshot(old=Presence.READY, new=Presence.READY)
    action, state = next_action(seen, Releases(), replace(FIRST, stage=Stage.SHADOWING), 0.0)
    assert isinstance(action, Shadow)
    seen = replace(seen, shadowing=True)
    action, state = next_action(seen, Releases(), state, 1.0)
    assert action == Wait("shadow: 0 of 100 requests compared")
    action, _ = next_action(seen, Releases(), state, 302.0)
    assert isinstance(action, Shift)


def test_a_shift_says_where_nothing_was_compared() -> None:
    """The end of a quiet shadowing is no proof, and does not look like one."""
    seen = Snapshot(old=Presence.READY, new=Presence.READY, shadowing=True, requests_per_s=1.0)
    action, _ = next_action(seen, Releases(), replace(FIRST, stage=Stage.SHADOWING, since=0.0), 301.0)
    assert isinstance(action, Shift)
    assert action.reason.endswith("of the requests: nothing was compared in 5 min")
