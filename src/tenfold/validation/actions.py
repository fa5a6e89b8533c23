"""What is done about a value that is missing or breaks its field: one order and one vocabulary for both compilers.

    coerce       only where nothing is lost (``reading``)
    impute       the value that the contract names takes its place
    clamp        the nearest bound takes its place
    flag         it stays, and is remarked on; a category that the contract does not list is then missing to the model
    quarantine   the row is refused, and put aside with its reasons
    fallback     the row gets the service's fallback answer
    reject       the row is refused

A row that anything refuses is refused, whatever else was done to it. Flag and clamp need a value of the right type: they do
not rescue text where a number belongs; the row is refused as if they were not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tenfold.contract.form import REJECT, Action, Field, Form, leaves
from tenfold.contract.leaf import Leaf
from tenfold.contract.reading import Unfit, written
from tenfold.errors import Change, ContractError, Flag, Violation


class Ledger:
    """Collects what was found and done, for any number of rows. Positions of rows are those of the request or table."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.changes: list[Change] = []
        self.flags: list[Flag] = []
        self.put_aside: dict[int, list[Violation]] = {}
        self.fallbacks: dict[int, str] = {}

    def missing(self, leaf: Leaf, row: int) -> Any:
        """What stands for an absent value: the imputed one, or None."""
        action = leaf.field.on_missing
        if action is None and leaf.field.nullable:
            return None
        return self._act(action or REJECT, leaf, row, Unfit("missing", f"{leaf.name} is missing"), None)

    def unfit(self, leaf: Leaf, row: int, unfit: Unfit) -> Any:
        """What stands for a value that breaks its field: another one, itself, or None."""
        field = leaf.field
        action = field.on_unseen if unfit.code == "unseen" and field.on_unseen else field.on_invalid
        typed = unfit.stored is not None
        if action.name == "flag" and typed:
            kept = None if unfit.code == "unseen" and field.kind == "category" else unfit.stored
            return self._act(action, leaf, row, unfit, kept)
        if action.name == "clamp" and typed and unfit.code == "out_of_range":
            nearest = leaf.clamped(unfit.stored)
            if nearest != unfit.stored and leaf.accepts(nearest):
                return self._act(action, leaf, row, unfit, nearest)
        if action.name in ("flag", "clamp"):
            action = REJECT
        return self._act(action, leaf, row, unfit, None)

    def refuse(self, row: int, pointer: str, code: str, detail: str) -> None:
        """Refuse a row for something that no action answers."""
        self.violations.append(Violation(row, pointer, code, detail))

    def _act(self, action: Action, leaf: Leaf, row: int, unfit: Unfit, value: Any) -> Any:
        """Do it, note it, and return the value as stored, None where there is none."""
        pointer = leaf.pointer + unfit.at
        match action.name:
            case "impute":
                self.changes.append(Change(row, leaf.pointer, "impute", unfit.code, action.value))
                return leaf.read(action.value)
            case "clamp":
                self.changes.append(Change(row, leaf.pointer, "clamp", unfit.code, written(leaf.field, value)))
                return value
            case "flag":
                self.flags.append(Flag(row, pointer, unfit.code))
                return value
            case _:
                self.decline(action, row, pointer, unfit.code, unfit.detail)
                return None

    def decline(self, action: Action, row: int, pointer: str, code: str, detail: str) -> None:
        """Quarantine, fall back or reject."""
        if action.name == "quarantine":
            self.put_aside.setdefault(row, []).append(Violation(row, pointer, code, detail))
            self.violations.append(Violation(row, pointer, "quarantined", detail))
        elif action.name == "fallback":
            self.fallbacks.setdefault(row, code)
        else:
            self.violations.append(Violation(row, pointer, code, detail))

    def refuses(self, row: int) -> bool:
        """True if the row, the last one that was looked at, is not answered from its values."""
        return row in self.fallbacks or (bool(self.violations) and self.violations[-1].row == row)

    def close(self) -> set[int]:
        """Forget what was done to rows that will not be answered from their values; returns those rows."""
        refused = {violation.row for violation in self.violations}
        self.fallbacks = {row: code for row, code in self.fallbacks.items() if row not in refused}
        out = refused | self.fallbacks.keys()
        if out:
            self.changes = [change for change in self.changes if change.row not in out]
            self.flags = [flag for flag in self.flags if flag.row not in out]
        return out


def asked(form: Form) -> Iterator[tuple[str, str]]:
    """The fields that take their value from the reference data, by their name on the wire (dotted within nested contracts),
    and what of it they take: "median" or "mode"."""
    for _, wire, _, field in leaves(form.fields):
        for action in (field.on_invalid, field.on_missing, field.on_unseen):
            if action is not None and action.of:
                yield wire, action.of


def resolve(form: Form, reference: Mapping[str, Mapping[str, Any]]) -> Form:
    """The form with ``impute("median")`` and ``impute("mode")`` replaced by values from the reference data.

    ``reference`` maps names as ``asked`` gives them to {"median": …, "mode": …}. What is not there stays unresolved, and
    ``require_usable`` names it.
    """
    if not any(asked(form)):
        return form
    return msgspec.structs.replace(form, fields=tuple(_resolved(field, "", reference) for field in form.fields))


def _resolved(field: Field, prefix: str, reference: Mapping[str, Mapping[str, Any]]) -> Field:
    name = prefix + field.wire
    if field.kind == "object":
        inner = tuple(_resolved(child, f"{name}.", reference) for child in field.fields)
        return msgspec.structs.replace(field, fields=inner)
    known = reference.get(name, {})

    def filled(action: Action | None) -> Action | None:
        return Action(action.name, known[action.of]) if action is not None and action.of in known else action

    return msgspec.structs.replace(
        field,
        on_invalid=filled(field.on_invalid),
        on_missing=filled(field.on_missing),
        on_unseen=filled(field.on_unseen),
    )


def require_usable(leaf: Leaf, contract: str) -> None:
    """Raise ContractError where an imputed value is not known yet, or breaks the field that it is put into."""
    field = leaf.field
    for word in ("on_invalid", "on_missing", "on_unseen"):
        action: Action | None = getattr(field, word)
        if action is None or action.name != "impute":
            continue
        if action.of:
            raise ContractError(
                f'{contract}: {leaf.name} has {word}(impute("{action.of}")), and no reference data to take it from.',
                f"write the value, {word}(impute(…)); or take it from what the model was trained on: "
                "tenfold record SERVICE --data FILE",
            )
        try:
            leaf.read(action.value)
        except Unfit as unfit:
            raise ContractError(
                f"{contract}: {word}(impute(...)) of {leaf.name} breaks its own field: {unfit.detail}.",
                "impute a value that the field allows; those of a median or a mode stand in reference.json",
            ) from None
