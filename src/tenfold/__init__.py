"""tenfold deploys machine-learning models by answering the ten questions that every deployment has to answer.

Everything that a service file needs is imported from here. A name loads when it is first used: importing this module
imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from annotated_types import Ge as Ge
    from annotated_types import Gt as Gt
    from annotated_types import Interval as Interval
    from annotated_types import Le as Le
    from annotated_types import Len as Len
    from annotated_types import Lt as Lt
    from annotated_types import MaxLen as MaxLen
    from annotated_types import MinLen as MinLen
    from annotated_types import MultipleOf as MultipleOf
    from annotated_types import Predicate as Predicate
    from annotated_types import Timezone as Timezone
    from annotated_types import Unit as Unit

    from tenfold.batching import Batching as Batching
    from tenfold.capacity import Capacity as Capacity
    from tenfold.client import Loaded as Loaded
    from tenfold.client import load as load
    from tenfold.contract.declare import Contract as Contract
    from tenfold.contract.vocabulary import Alias as Alias
    from tenfold.contract.vocabulary import Image as Image
    from tenfold.contract.vocabulary import Key as Key
    from tenfold.contract.vocabulary import Pattern as Pattern
    from tenfold.contract.vocabulary import Private as Private
    from tenfold.contract.vocabulary import Tensor as Tensor
    from tenfold.contract.vocabulary import clamp as clamp
    from tenfold.contract.vocabulary import fallback as fallback
    from tenfold.contract.vocabulary import flag as flag
    from tenfold.contract.vocabulary import impute as impute
    from tenfold.contract.vocabulary import on_invalid as on_invalid
    from tenfold.contract.vocabulary import on_missing as on_missing
    from tenfold.contract.vocabulary import on_unseen as on_unseen
    from tenfold.contract.vocabulary import quarantine as quarantine
    from tenfold.contract.vocabulary import reject as reject
    from tenfold.contract.vocabulary import rule as rule
    from tenfold.control.folders import init as init
    from tenfold.deadline import Deadline as Deadline
    from tenfold.drift import Drift as Drift
    from tenfold.errors import Conflict as Conflict
    from tenfold.errors import ContractError as ContractError
    from tenfold.errors import GateFailed as GateFailed
    from tenfold.errors import InvalidInput as InvalidInput
    from tenfold.errors import ModelError as ModelError
    from tenfold.errors import NotFound as NotFound
    from tenfold.errors import ServiceError as ServiceError
    from tenfold.errors import TenfoldError as TenfoldError
    from tenfold.errors import UsageError as UsageError
    from tenfold.errors import Violation as Violation
    from tenfold.model import Facts as Facts
    from tenfold.model import Model as Model
    from tenfold.model import Trusted as Trusted
    from tenfold.model import trust as trust
    from tenfold.parity import Report as Report
    from tenfold.parity import record as record
    from tenfold.parity import renew as renew
    from tenfold.parity import replay as replay
    from tenfold.releases import Releases as Releases
    from tenfold.rows import Rows as Rows
    from tenfold.scaling import Scaling as Scaling
    from tenfold.service import Service as Service

_HOME = {
    "Alias": "tenfold.contract.vocabulary",
    "Batching": "tenfold.batching",
    "Capacity": "tenfold.capacity",
    "clamp": "tenfold.contract.vocabulary",
    "Conflict": "tenfold.errors",
    "Contract": "tenfold.contract.declare",
    "ContractError": "tenfold.errors",
    "Deadline": "tenfold.deadline",
    "Drift": "tenfold.drift",
    "Facts": "tenfold.model",
    "fallback": "tenfold.contract.vocabulary",
    "flag": "tenfold.contract.vocabulary",
    "GateFailed": "tenfold.errors",
    "Ge": "annotated_types",
    "Gt": "annotated_types",
    "Image": "tenfold.contract.vocabulary",
    "impute": "tenfold.contract.vocabulary",
    "init": "tenfold.control.folders",
    "Interval": "annotated_types",
    "InvalidInput": "tenfold.errors",
    "Key": "tenfold.contract.vocabulary",
    "Le": "annotated_types",
    "Len": "annotated_types",
    "load": "tenfold.client",
    "Loaded": "tenfold.client",
    "Lt": "annotated_types",
    "MaxLen": "annotated_types",
    "MinLen": "annotated_types",
    "Model": "tenfold.model",
    "ModelError": "tenfold.errors",
    "MultipleOf": "annotated_types",
    "NotFound": "tenfold.errors",
    "on_invalid": "tenfold.contract.vocabulary",
    "on_missing": "tenfold.contract.vocabulary",
    "on_unseen": "tenfold.contract.vocabulary",
    "Pattern": "tenfold.contract.vocabulary",
    "Predicate": "annotated_types",
    "Private": "tenfold.contract.vocabulary",
    "quarantine": "tenfold.contract.vocabulary",
    "record": "tenfold.parity",
    "reject": "tenfold.contract.vocabulary",
    "Releases": "tenfold.releases",
    "renew": "tenfold.parity",
    "replay": "tenfold.parity",
    "Report": "tenfold.parity",
    "Rows": "tenfold.rows",
    "rule": "tenfold.contract.vocabulary",
    "Scaling": "tenfold.scaling",
    "Service": "tenfold.service",
    "ServiceError": "tenfold.errors",
    "TenfoldError": "tenfold.errors",
    "Tensor": "tenfold.contract.vocabulary",
    "Timezone": "annotated_types",
    "trust": "tenfold.model",
    "Trusted": "tenfold.model",
    "Unit": "annotated_types",
    "UsageError": "tenfold.errors",
    "Violation": "tenfold.errors",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tenfold")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return ["__version__", *_HOME]
