"""The part of validation that runs the user's code, in the replica: predicates of single fields, rules over several.

Predicates are asked value by value, of values that are there; rules once for all rows. What either raises is the service's
own failure (``model_failed``) for the rows that make it raise, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tenfold.contract.draft import Draft
from tenfold.contract.form import Form, Rule
from tenfold.contract.leaf import Leaf, compile_form
from tenfold.contract.reading import Unfit
from tenfold.errors import Flag
from tenfold.rows import Array, Checked, Rows
from tenfold.validation.actions import Ledger

_BOOL = np.dtype(bool)
Function = Callable[[Any], Any]
Report = Callable[[str, Exception, Sequence[int]], None]


class Asked(Protocol):
    """What is needed of a contract: its form, and the functions that the form names."""

    form: Form
    predicates: Mapping[str, tuple[Function, ...]]
    rules: Mapping[str, Function]


class Misshapen(Exception):
    """A rule that did not say yes or no for each row."""


def apply(contract: type[Asked] | Asked, rows: Rows, index: Array, report: Report | None = None) -> Checked:
    """Ask every predicate and every rule about n rows, which stood at ``index`` in what came.

    ``report`` is told what raised ("rule NAME", "predicate NAME of FIELD"), the error, and the rows (by ``index``).
    """
    asking: _Asking | None = None
    if contract.predicates:
        asking = _Asking(contract, index, report)
        rows = asking.predicates(rows)
    total = len(index)
    for rule in contract.form.rules:
        held, failed = _ask(contract.rules[rule.name], rows, total)
        if failed or held.tobytes().find(0) >= 0:  # for a few rows ten times as fast as held.all()
            asking = asking or _Asking(contract, index, report)
            asking.rule(rule, held, failed)
    if asking is None:
        return Checked(rows, index, total)
    ledger = asking.ledger
    refused = ledger.close()
    if refused:
        keep = ~np.isin(index, list(refused))
        rows, index = rows.take(keep), index[keep]
    return Checked(
        rows,
        index,
        total,
        sorted(ledger.violations, key=lambda violation: violation.row),
        ledger.changes,
        ledger.flags,
        ledger.put_aside,
        ledger.fallbacks,
    )


class _Asking:
    """One batch that is being asked about. ``places`` are where its rows stood in what came."""

    def __init__(self, contract: type[Asked] | Asked, places: Array, report: Report | None) -> None:
        self.ledger = Ledger()
        self._contract = contract
        self._places: list[int] = places.tolist()
        self._report = report

    def predicates(self, rows: Rows) -> Rows:
        """Ask the predicates of each field, value by value; the rows, with what was imputed."""
        leaves = compile_form(self._contract.form).leaves
        draft: Draft | None = None
        for k, leaf in enumerate(leaves):
            assert leaf.column is not None
            name = leaf.column.name
            for function in self._contract.predicates.get(name, ()):
                for row in self._failing(function, leaf, rows[name], rows.missing(name)):
                    imputed = self.ledger.unfit(leaf, self._places[row], _unsatisfied(function, leaf, rows[name][row]))
                    if leaf.field.on_invalid.name == "impute":
                        draft = draft or Draft.of(leaves, rows)
                        draft.put(k, row, imputed)
        return draft.rows() if draft else rows

    def rule(self, rule: Rule, held: Array, failed: Mapping[int, Exception]) -> None:
        """Note for which rows a rule does not hold, and for which it raised."""
        self._failed(f"rule {rule.name}", failed)
        for row in np.flatnonzero(~held).tolist():
            place, code = self._places[row], f"rule:{rule.name}"
            if rule.on_invalid.name == "flag":
                self.ledger.flags.append(Flag(place, None, code))
            else:
                detail = f"{rule.name} does not hold" + (f": {rule.doc}" if rule.doc else "")
                self.ledger.decline(rule.on_invalid, place, "", code, detail)

    def _failing(self, function: Function, leaf: Leaf, values: Array, missing: Array) -> Iterator[int]:
        """The rows whose value the predicate refuses."""
        failed: dict[int, Exception] = {}
        for row, value in enumerate(_plain(values)):
            if missing[row] or value is None:
                continue
            try:
                held = function(value)
            except Exception as error:
                failed[row] = error
            else:
                if not held:
                    yield row
        self._failed(f"predicate {_name(function)} of {leaf.name}", failed)

    def _failed(self, what: str, failed: Mapping[int, Exception]) -> None:
        """The user's function raised: that is the service's failure, and the row's only in that it is not answered."""
        for row, error in failed.items():
            said = str(error) if isinstance(error, Misshapen) else f"raised {type(error).__name__}"
            self.ledger.refuse(self._places[row], "", "model_failed", f"{what} {said}")
        if failed and self._report:
            rows = [self._places[row] for row in failed]
            self._report(what, next(iter(failed.values())), rows)


def _ask(function: Function, rows: Rows, n: int) -> tuple[Array, dict[int, Exception]]:
    """For which of n rows a rule holds, and for which it raises; of a batch that raises, the halves are asked apart."""
    try:
        held = np.asarray(function(rows))
        if held.dtype is not _BOOL or held.shape != (n,):
            raise Misshapen(f"gave {held.dtype} of shape {held.shape} for {n} rows; it has to give one bool a row")
    except Exception as error:
        if n == 1 or isinstance(error, Misshapen):
            return np.ones(n, dtype=bool), dict.fromkeys(range(n), error)
        half = n // 2
        first, failed = _ask(function, rows.take(np.arange(half)), half)
        second, more = _ask(function, rows.take(np.arange(half, n)), n - half)
        return np.concatenate([first, second]), failed | {half + row: error for row, error in more.items()}
    return held, {}


def _plain(values: Array) -> Iterable[Any]:
    """Python's own values, as a predicate expects them; arrays stay arrays."""
    return values.tolist() if values.ndim == 1 else values


def _unsatisfied(function: Function, leaf: Leaf, value: Any) -> Unfit:
    return Unfit("predicate", f"{leaf.name} must satisfy {_name(function)}", value)


def _name(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)
