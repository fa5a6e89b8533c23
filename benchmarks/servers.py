"""What is measured: the command of each server, the body that it takes and the answer that is right."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import MODELS, Library, Row

HERE = Path(__file__).parent
VENVS = HERE / ".venvs"
SERVICE = HERE / "service" / "service.py"
PYTHON = sys.executable
PORTS = ("--port", "{port}", "--admin-port", "{admin_port}")
TENFOLD = str(Path(PYTHON).with_name("tenfold"))
CLOSE_ENOUGH = 1e-6  # float32 answers carry seven digits
PEER = {
    "MODEL": str(MODELS["sklearn"]),
    "PORT": "{port}",
    "PYTHONPATH": f"{HERE}/peers",
    "BENTOML_DO_NOT_TRACK": "True",
}


@dataclass(frozen=True, slots=True)
class Server:
    """One line of the table. `{port}` and `{admin_port}` are filled in, in command and environment."""

    name: str
    model: Library  # whose answers are the right ones
    command: tuple[str, ...]
    answer: Callable[[Any], Any]  # from the decoded body of an answer to what is compared
    body: Callable[[Row], Any] = lambda row: row
    environment: Mapping[str, str] = field(default_factory=dict)
    front: str = ""  # words of the front's command line, where front and replica are apart
    packages: tuple[str, ...] = ()  # of a peer's own environment

    def is_right(self, answer: Any, row: Row, probability: float) -> bool:
        """Whether that is what the model answers; or, from the echo, what was sent."""
        found = self.answer(answer)
        return bool(found == row) if isinstance(found, dict) else abs(found - probability) <= CLOSE_ENOUGH


def _bare(model: Library) -> Server:
    return Server(
        name=f"bare-{model}",
        model=model,
        command=(PYTHON, "-m", "benchmarks.bare", "{port}", str(MODELS[model])),
        answer=lambda answer: answer["probability"],
        front="benchmarks.bare",
    )


def _tenfold(model: Library, service: str) -> Server:
    return Server(
        name=f"tenfold-{model}",
        model=model,
        command=(TENFOLD, "serve", f"{SERVICE}:{service}", *PORTS),
        answer=lambda answer: answer["output"]["probability"],
        front="tenfold front",
    )


ECHO = Server(
    name="echo",
    model="sklearn",
    command=(PYTHON, "-m", "benchmarks.echo", "{port}"),
    answer=lambda answer: answer,
)
FASTAPI = Server(
    name="fastapi",
    model="sklearn",
    command=(f"{VENVS}/fastapi/bin/uvicorn", "fastapi_app:app", "--port", "{port}", "--log-level", "warning"),
    answer=lambda answer: answer["probability"],
    environment=PEER,
    packages=("fastapi==0.165.0", "uvicorn[standard]==0.54.0"),
)
LITSERVE = Server(
    name="litserve",
    model="sklearn",
    command=(f"{VENVS}/litserve/bin/python", f"{HERE}/peers/litserve_app.py"),
    answer=lambda answer: answer["probability"],
    environment=PEER,
    packages=("litserve==0.2.19",),
)
BENTOML = Server(
    name="bentoml",
    model="sklearn",
    command=(f"{VENVS}/bentoml/bin/bentoml", "serve", "bentoml_app:Tumour", "--port", "{port}"),
    answer=lambda answer: answer[0],
    body=lambda row: {"rows": [list(row.values())]},
    environment=PEER,
    packages=("bentoml==1.4.39",),
)
BARE_SKLEARN, BARE_ONNX = _bare("sklearn"), _bare("onnx")
YARDSTICKS = (ECHO, BARE_SKLEARN, BARE_ONNX)
OURS = (  # each beside its own limit, so that both meet the same moment of the machine
    ECHO,
    BARE_SKLEARN,
    _tenfold("sklearn", "TumourCheck"),
    BARE_ONNX,
    _tenfold("onnx", "TumourCheckOnnx"),
)
# Their versions are pinned so that a second run measures the same; raise them freely.
PEERS = (FASTAPI, LITSERVE, BENTOML)
