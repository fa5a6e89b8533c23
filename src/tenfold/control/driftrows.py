"""From blocks of a table to what a verdict is made of: windows that are counted and sampled, labels that are joined."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from tenfold.control.driftfiles import Block
from tenfold.drift.columns import Column, Floats, Ints, cells_of, named_column
from tenfold.drift.counting import Counts, count_column
from tenfold.drift.performance import Outcomes, Task, Truth, count
from tenfold.drift.profile import Window
from tenfold.drift.sampling import Keys, Sampler, mix
from tenfold.drift.tables import Encoder, Raw, parsed
from tenfold.drift.windows import Plan

SAMPLE_BYTES = 32 << 20  # for the samples of all windows of a table; twice that while they are taken
MOST_SAMPLED, FEWEST_SAMPLED = 8192, 64  # rows of a window


LOCAL = re.compile(r"\d{4}-[01]\d-[0-3]\d(?:[ T][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)?", re.ASCII)


class Roles(NamedTuple):
    """Which columns are what. All but these, and those of ``ignore``, are what the model was given."""

    prediction: str | None = None
    score: str | None = None
    label: str | None = None
    time: str | None = None
    key: str | None = None
    ignore: tuple[str, ...] = ()
    challenger: str | None = None


class Target:
    """Reads labels and answers: classes as their codes, numbers as they are; NaN where there is none."""

    def __init__(self, task: Task) -> None:
        self._classes = Encoder(named_column("label", task.classes)) if task.classes else None
        self.unknown = 0
        """Labels that are no class of the reference."""

    def labels(self, raw: Raw) -> Floats:
        """The labels (n,) of a column."""
        values = self.answers(raw)
        if self._classes is not None:
            strange = values == self._classes.column.unseen
            self.unknown += int(strange.sum())
            values[strange] = np.nan
        return values

    def answers(self, raw: Raw) -> Floats:
        """The answers (n,) of a column; one that is no class of the reference is a class of its own."""
        if self._classes is not None:
            return self._classes.encode(raw)
        return raw.numbers.copy() if raw.kind != "text" else parsed(raw)


def times_of(raw: Raw) -> Floats:
    """Times as seconds since 1970 in UTC; text is read as ISO 8601, numbers are taken as seconds. NaN where there is none."""
    if raw.kind != "text":
        return raw.numbers
    if all(map(LOCAL.fullmatch, raw.names)):  # NumPy is fast, and cannot read the offset of a time zone
        micros = np.array(raw.names, dtype="datetime64[us]").astype(np.int64)
        return np.append(micros / 1e6, np.nan)[raw.codes]
    return np.array([*map(_seconds, raw.names), np.nan])[raw.codes]


def _seconds(text: str) -> float:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return float("nan")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


class Part(NamedTuple):
    """The rows of a block that belong to one window, and those of them that may come to be in its sample."""

    window: int
    rows: slice | Ints
    sampled: Ints


class Collector:
    """Counts and samples the blocks of a table by window, one column after the other."""

    def __init__(self, columns: Sequence[Column], plan: Plan, roles: Roles, task: Task | None) -> None:
        self._columns = columns
        self._encoders = [Encoder(column) for column in columns]
        self._plan = plan
        self._roles = roles
        self._task = task
        self._target = Target(task) if task else None
        self._score = next((k for k, column in enumerate(columns) if column.role == "score"), None)
        affordable = SAMPLE_BYTES // (8 * (len(columns) + 2) * 2 * len(plan))
        sampled = min(max(affordable, FEWEST_SAMPLED), MOST_SAMPLED)
        self._samplers = [Sampler(sampled) for _ in range(len(plan))]
        self._counts: list[list[Counts]] = [[Counts.none([column]) for column in columns] for _ in range(len(plan))]
        self._outcomes: list[Outcomes | None] = [None] * len(plan)
        self._strangers: list[dict[str, dict[str, int]]] = [{} for _ in range(len(plan))]

    def add(self, block: Block, known: Collection[str], labels: Floats | None = None) -> None:
        """Take a block that has the columns ``known``; ``labels`` (n,) are those from elsewhere, where there are any."""
        hashes = mix(np.arange(block.first, block.first + block.rows, dtype=np.uint64))
        parts = list(self._parts(block, hashes))
        sampled = [np.full((len(part.sampled), len(self._columns)), np.nan) for part in parts]
        for k, encoder in enumerate(self._encoders):
            raw = block.column(encoder.column.name) if encoder.column.name in known else nothing(block.rows)
            values = encoder.encode(raw)
            for part, sample in zip(parts, sampled, strict=True):
                sample[:, k] = values[part.sampled]
                counted = self._counts[part.window]
                counted[k] = counted[k].merge(count_column(encoder.column, values[part.rows], raw.missing[part.rows]))
                self._meet(part, encoder, raw, values)
        predicted, actual = self._truth(block, known, labels)
        self._judge(block, parts, predicted, actual)
        rival = self._challenger(block, known)
        for part, values in zip(parts, sampled, strict=True):
            arrays = {"values": values, "predicted": predicted[part.sampled], "actual": actual[part.sampled]}
            if rival is not None:
                arrays["challenger"] = rival[part.sampled]
            self._samplers[part.window].add(hashes[part.sampled], {**arrays, "row": block.first + part.sampled})

    def windows(self) -> list[Window]:
        """What was collected, window by window. Those without rows are left out, but for pauses in windows of a length of
        time; of these, the first and the last may be parts. Sampled rows are in their order."""
        counted = [Counts.beside(counts) for counts in self._counts]
        filled = [w for w, counts in enumerate(counted) if counts.rows]
        return [
            self._window(w, counted[w], whole=self._plan.window_s is None or filled[0] < w < filled[-1])
            for w in (range(filled[0], filled[-1] + 1) if filled else ())
            if counted[w].rows or self._plan.window_s is not None
        ]

    def _window(self, w: int, counts: Counts, whole: bool) -> Window:
        sample = self._samplers[w].sample()
        ordered = sample.take(np.argsort(sample["row"], kind="stable")) if sample else None
        start, end = self._plan.edges[w : w + 2].tolist()
        return Window(start, end, counts, self._outcomes[w], ordered, self._strangers[w], whole)

    def remarks(self) -> list[str]:
        """What is odd about the rows that were taken."""
        said = [
            f"{encoder.column.name}: {encoder.unreadable:,} values are text where the reference has numbers"
            for encoder in self._encoders
            if encoder.unreadable
        ]
        if self._target is not None and self._target.unknown:
            unknown = self._target.unknown
            said.append(f"{unknown:,} {'label is' if unknown == 1 else 'labels are'} no class of the reference")
        return said

    def _parts(self, block: Block, hashes: Keys) -> Iterator[Part]:
        window = self._plan.of(self._positions(block))
        for w in np.unique(window[window >= 0]).tolist():
            inside = np.flatnonzero(window == w)
            together = inside[-1] - inside[0] == len(inside) - 1
            rows = slice(int(inside[0]), int(inside[-1]) + 1) if together else inside
            yield Part(w, rows, inside[self._samplers[w].choose(hashes[rows])])

    def _positions(self, block: Block) -> Floats:
        if self._plan.timed and self._roles.time is not None:
            return times_of(block.column(self._roles.time))
        return np.arange(block.first, block.first + block.rows, dtype=np.float64)

    def _truth(self, block: Block, known: Collection[str], labels: Floats | None) -> tuple[Floats, Floats]:
        """Answers and labels (n,), NaN where unknown."""
        unknown = np.full(block.rows, np.nan)
        prediction, label = self._roles.prediction, self._roles.label
        if self._target is None:
            return unknown, unknown
        predicted = self._target.answers(block.column(prediction)) if prediction and prediction in known else unknown
        if labels is not None:
            return predicted, labels
        return predicted, self._target.labels(block.column(label)) if label and label in known else unknown

    def _challenger(self, block: Block, known: Collection[str]) -> Floats | None:
        """What the challenger answered (n,): scores where rows are ranked, else answers. None in the reference."""
        name, task = self._roles.challenger, self._task
        if name is None or name not in known or task is None or self._target is None:
            return None
        raw = block.column(name)
        return (
            (raw.numbers if raw.kind != "text" else parsed(raw)) if task.metric == "auc" else self._target.answers(raw)
        )

    def _judge(self, block: Block, parts: Sequence[Part], predicted: Floats, actual: Floats) -> None:
        """Count the outcomes of labelled rows."""
        if self._task is None:
            return
        size, cells = 0, np.zeros(block.rows, dtype=np.int64)
        if self._score is not None:
            score = self._columns[self._score]
            scores = self._encoders[self._score].encode(block.column(score.name))
            size, cells = score.cells, cells_of([score], scores[:, None])[:, 0]
            actual = np.where(np.isnan(scores), np.nan, actual) if self._task.metric == "auc" else actual
        for part in parts:
            truth = Truth(predicted[part.rows], actual[part.rows], cells[part.rows])
            found, before = count(self._task, truth, size), self._outcomes[part.window]
            self._outcomes[part.window] = found if before is None else before.merge(found)

    def _meet(self, part: Part, encoder: Encoder, raw: Raw, values: Floats) -> None:
        """Remember names that the reference never had, and text where it has numbers."""
        column = encoder.column
        if column.kind == "category":
            strange = values[part.rows] == column.unseen
        elif raw.kind == "text":
            strange = np.isnan(values[part.rows]) & ~raw.missing[part.rows]
        else:
            return
        if strange.any():
            rows = np.arange(len(values))[part.rows][strange]
            met = self._strangers[part.window]
            met[column.name] = encoder.strangers(raw.take(rows), met.get(column.name, {}))


def nothing(rows: int) -> Raw:
    """A column that did not come."""
    return Raw.of_numbers(np.full(rows, np.nan))
