"""The class that a user derives from: what a service states, and what it may do in its own words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tenfold.batching import Batching
from tenfold.capacity import Capacity
from tenfold.contract.form import Form
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.errors import ServiceError, TenfoldError
from tenfold.models import load as load_model
from tenfold.releases import Releases
from tenfold.scaling import Scaling
from tenfold.service import reference
from tenfold.service.source import file_of_module, folder_of, line_of
from tenfold.transforms import postprocessor, preprocessor
from tenfold.validation.actions import asked

if TYPE_CHECKING:
    from tenfold.contract import Contract
    from tenfold.model import Facts, Model
    from tenfold.rows import Rows
    from tenfold.service.reference import Reference


class Service:
    """A deployment, as the answers to ten questions.

    Two lines are enough::

        class Check(Service):
            input, output, model = Tumour, Diagnosis, "model.skops"

    ``model`` is a path within the service's folder, ``trust(path)`` for formats that can run code when they are
    loaded, or any object with ``predict``, ``predict_proba`` or a call. Making an instance loads nothing, so that
    a training script may call ``preprocess``; ``start`` loads the model.
    """

    name: ClassVar[str] = ""  # the class's name in kebab case, unless it is stated

    input: ClassVar[type[Contract]]  # 1 what comes in, 2 what is valid, and otherwise
    output: ClassVar[type[Contract]]
    model: ClassVar[Any]
    batching: ClassVar[Batching] = Batching()  # 5
    deadline: ClassVar[Deadline] = Deadline()  # 6
    capacity: ClassVar[Capacity] = Capacity()  # 7
    scaling: ClassVar[Scaling] = Scaling()  # 8
    releases: ClassVar[Releases] = Releases()  # 9
    drift: ClassVar[Drift] = Drift()  # 10

    predictor: Model | None = None  # the loaded model, once started
    _file: ClassVar[Path | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._file = file_of_module(cls.__module__)

    def __init__(self) -> None:
        self.refer()

    def load(self) -> None:
        """Runs once in each replica, after the model is loaded: for tables, tokenizers, a second model. Files of the
        service are in ``self.folder``."""

    def preprocess(self, rows: Rows) -> Any:
        """Question 3: what the model takes, made of n rows. The default gives the fields in the model's order."""
        return self._preprocess(rows)

    def postprocess(self, scores: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 -- any further ones fit a type
        """Question 4: columns of the output contract, made of what the model gave for n rows. A service's own may take
        ``(self, scores)`` or ``(self, scores, rows)``. The default gives a label and probabilities, or the value."""
        return self._postprocess(scores)

    def start(self, folder: Path | None = None) -> Self:
        """Load the model, from ``folder`` or the one that the class stands in, and call ``load``.

        Raises ``ModelError`` where the model cannot be read, ``ContractError`` where it does not fit the contracts, and
        ``ServiceError`` where ``load`` raises.
        """
        if folder is not None:
            self.folder = folder
            self.refer()
        self.predictor = load_model(type(self).model, self.folder)
        for default in ("_preprocess", "_postprocess"):
            self.__dict__.pop(default, None)
        if not self.states("preprocess"):
            self._preprocess  # noqa: B018 -- made now, so that a contract that does not fit is no surprise for a request
        if not self.states("postprocess"):
            self._postprocess  # noqa: B018
        try:
            self.load()
        except TenfoldError:
            raise
        except Exception as error:
            where = line_of(error, self.folder.resolve()) or type(self).__name__
            mend = "mend the line; load(self) may run in any folder, so that its files are self.folder / name"
            raise ServiceError(f"{where}: load raised {type(error).__name__}: {error}", mend) from error
        return self

    def refer(self, known: Reference | None = None) -> None:
        """Give ``impute("median")`` and ``impute("mode")`` of this instance's input their values: those that are known, or
        those in ``reference.json`` of its folder. Raises ``ServiceError`` where that cannot be read."""
        form = getattr(getattr(type(self), "input", None), "form", None)
        if isinstance(form, Form) and any(asked(form)):
            known = known or reference.read(self.folder)
            vars(self)["input"] = reference.resolved(type(self).input, known) if known else type(self).input

    def close(self) -> None:
        """Let go of the model."""
        if self.predictor is not None:
            self.predictor.close()
            self.predictor = None

    @classmethod
    def states(cls, attribute: str) -> bool:
        """Whether the class, or one that it derives from, gives this answer itself."""
        return any(attribute in vars(base) for base in cls.__mro__[: cls.__mro__.index(Service)])

    @cached_property
    def folder(self) -> Path:
        """The service's folder: the one that it was started in, or that its class stands in."""
        return folder_of(type(self))

    @property
    def facts(self) -> Facts | None:
        """What the model says of itself; None before it is loaded."""
        return self.predictor.facts if self.predictor else None

    @cached_property
    def _preprocess(self) -> Callable[[Rows], Any]:
        return preprocessor(self.input.form, self.facts)

    @cached_property
    def _postprocess(self) -> Callable[[Any], Any]:
        if self.facts is None:
            raise ServiceError(
                f"the default postprocess of {type(self).__name__} depends on the model, and none is loaded",
                "call start() first",
            )
        return postprocessor(self.output.form, self.facts)
