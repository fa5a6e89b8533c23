"""The Python face: a service in this process, asked with a DataFrame, through the very same path as a request.

service = tenfold.load("tumour")
answers = service.predict(frame)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tenfold.config import environment
from tenfold.errors import CODES, InvalidInput, ServiceError, UsageError, Violation
from tenfold.pipeline import Failure
from tenfold.rows import Answer, Checked
from tenfold.scaffold.served import Served
from tenfold.service import Service, Spec, find, spec, started
from tenfold.validation import block

if TYPE_CHECKING:
    import pandas as pd


def load(service: str | Path | type[Service] | Service, env: str = "") -> Loaded:
    """Load a service into this process: a folder, a ``file.py[:Class]``, or the class itself.

    ``env`` names the environment whose tables of ``tenfold.toml`` apply to a folder or file; the variable TENFOLD_ENV
    does where it is left out. Raises ``NotFound``, ``ServiceError``, ``ContractError`` or ``ModelError``, with the
    mend.
    """
    if isinstance(service, str | Path):
        service = find(service, env=environment(env))
    return Loaded(started(service))


class Loaded:
    """A service that answers in this process, one call at a time.

    In a ``with`` statement it lets go of its model at the end.
    """

    def __init__(self, service: Service) -> None:
        """``service`` is started."""
        self.service = service
        self.spec: Spec = spec(service)
        self._failures: list[Failure] = []
        self._served = Served(service, report=self._failures.append)

    def predict(self, data: Any, on_invalid: Literal["raise", "mark"] = "raise") -> pd.DataFrame:
        """The answers to a DataFrame, an Arrow table, a mapping of columns, a mapping or a list of mappings (rows by
        their names on the wire), or a JSON body: a row for each row, in order, with the index of a DataFrame kept.

        A row that the contract refuses raises ``InvalidInput`` with every violation of every row. With
        ``on_invalid="mark"`` its answer is missing instead, and ``.attrs["errors"]`` says why. ``.attrs["changes"]``
        and ``.attrs["flags"]`` list what validation altered or remarked on. What the service's own code raises is
        raised as ``ServiceError``, in either case.
        """
        if on_invalid not in ("raise", "mark"):
            raise UsageError(f"on_invalid is {on_invalid!r}", 'say on_invalid="raise" or on_invalid="mark"')
        answer = self.answer(data)
        if on_invalid == "raise" and answer.violations:
            raise _refused(answer)
        frame = self._frame(answer)
        if hasattr(data, "iloc"):
            frame.index = data.index
        frame.attrs["errors"] = [violation._asdict() for violation in answer.violations]
        frame.attrs["changes"] = [change._asdict() for change in answer.changes]
        frame.attrs["flags"] = [flag._asdict() for flag in answer.flags]
        return frame

    def answer(self, data: Any) -> Answer:
        """The same as typed rows: what was answered, and what is to be said of each row.

        Raises ``ServiceError`` where the service's own code failed.
        """
        self._failures.clear()
        answer = self._served.answer(self._check(data))
        ours = [violation for violation in answer.violations if CODES[violation.code.partition(":")[0]].status == 500]
        if ours:
            raise self._failed(ours)
        return answer

    def _check(self, data: Any) -> Checked:
        """JSON as the front checks it, anything else as a table: typed rows, and what is to be said of the others."""
        if isinstance(data, bytes | bytearray | str):
            return self._served.check(data.encode() if isinstance(data, str) else bytes(data))
        is_row = isinstance(data, Mapping) and not all(_is_column(values) for values in data.values())
        return block.check(self._served.pipeline.form, [data] if is_row else data)

    def _failed(self, violations: list[Violation]) -> ServiceError:
        """The first failure, with its traceback as the cause."""
        first = violations[0]
        cause = self._failures[0].error if self._failures else None
        said = f"{first.detail}: {cause}" if cause else first.detail
        error = ServiceError(f"row {first.row}: {said}", f"{len(violations)} rows failed; mend the service's own code")
        error.__cause__ = cause
        return error

    def _frame(self, answer: Answer) -> pd.DataFrame:
        """A row of output for each row of input: answered, the fallback answer, or missing."""
        outputs = answer.outputs.frame()
        outputs.index = answer.index
        fallback = self.spec.deadline.fallback
        if answer.fallbacks and fallback is not None:
            import pandas as pd

            rows = list(answer.fallbacks)
            outputs = pd.concat([outputs, pd.DataFrame([fallback] * len(rows), index=rows)[list(outputs.columns)]])
        frame: pd.DataFrame = outputs.sort_index()
        return frame if len(frame) == answer.total else frame.reindex(range(answer.total))

    def __repr__(self) -> str:
        """The name, the release and the model of the service."""
        return f"<tenfold service {self.spec.name}@{self.spec.release[:7]}: {self.spec.model}>"

    def close(self) -> None:
        """Let go of the model."""
        self.service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refused(answer: Answer) -> InvalidInput:
    """The error that names the first row, counts the others, and says how to go on without them."""
    error = InvalidInput(answer.violations)
    first, count = answer.violations[0], len({violation.row for violation in answer.violations})
    error.message = f"row {first.row}: {error.message}; {count} of {answer.total} rows are refused"
    error.hint = 'mend the rows (.violations lists every reason); or predict(..., on_invalid="mark")'
    return error


def _is_column(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping)
