"""The self-test of an installation: interpreter, libraries, sockets, a contract, and a service that answers."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

from tenfold.control.servers import ask, free_port, serving
from tenfold.errors import TenfoldError
from tenfold.server.compiled import hot, is_stale

OLDEST = (3, 11)
CORE = {"annotated-types": "annotated_types", "click": "click", "httptools": "httptools", "msgspec": "msgspec"}
CORE |= {"numpy": "numpy", "uvloop": "uvloop"}
COMPILE = "install gcc and python3-dev, then pip install --force-reinstall --no-deps --no-cache-dir tenfold"
COMPILE += "; in a clone, rm .venv/.ready && make setup"
EXTRAS = {
    "sklearn": {"scikit-learn": "sklearn", "skops": "skops", "joblib": "joblib"},
    "onnx": {"onnxruntime": "onnxruntime"},
    "image": {"pillow": "PIL"},
    "sign": {"cryptography": "cryptography"},
    "batch": {"pandas": "pandas", "pyarrow": "pyarrow"},
}
SERVICE = '''\
from tenfold import Contract, Service


class Numbers(Contract):
    x: float


class Doubled(Contract):
    value: float


class Double(Service):
    """Twice the number, to see whether this installation serves."""

    input, output, model = Numbers, Doubled, staticmethod(lambda x: x * 2)
'''


class Finding(NamedTuple):
    """One line: what was tested, whether it is ok, open (an extra that is not installed) or broken, and the mend."""

    word: str
    state: Literal["ok", "open", "broken"]
    text: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Test one thing after the other, the cheap ones first."""
    yield _python()
    yield _libraries("core", CORE, "pip install --force-reinstall tenfold", "broken")
    yield _compiled()
    for extra, libraries in EXTRAS.items():
        yield _libraries(extra, libraries, f"pip install 'tenfold[{extra}]'", "open")
    for word, test, fix in (
        ("sockets", _sockets, "allow programs to listen on 127.0.0.1"),
        ("contract", _contract, "pip install --force-reinstall tenfold"),
        ("serving", _serving, "TENFOLD_DEBUG=1 tenfold doctor"),
    ):
        yield _tested(word, test, fix)


def _compiled() -> Finding:
    if hot is not None:
        return Finding("compiled", "ok", "what every request of one row passes through")
    what = "what is compiled is of another version, and not used" if is_stale else "nothing"
    return Finding(
        "compiled", "open", f"{what}: a request takes the same way in Python, and up to a quarter longer", COMPILE
    )


def _python() -> Finding:
    text = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < OLDEST:
        return Finding("python", "broken", text, "use Python 3.11 or newer")
    if platform.system() not in ("Linux", "Darwin"):
        return Finding("python", "broken", text, "use Linux or macOS; on Windows, the WSL")
    return Finding("python", "ok", text)


def _libraries(word: str, modules: dict[str, str], fix: str, otherwise: Literal["open", "broken"]) -> Finding:
    """Whether libraries can be imported, which is more than being installed."""
    known: list[str] = []
    absent: list[str] = []
    for library, module in modules.items():
        try:
            import_module(module)
            known.append(f"{library} {version(library)}")
        except ImportError as error:
            absent.append(f"{library} ({error})")
    if absent:
        return Finding(word, otherwise, f"cannot import {', '.join(absent)}", fix)
    return Finding(word, "ok", ", ".join(known))


def _tested(word: str, test: Callable[[], str], fix: str) -> Finding:
    try:
        return Finding(word, "ok", test())
    except TenfoldError as error:
        return Finding(word, "broken", error.message, error.hint or fix)
    except Exception as error:
        return Finding(word, "broken", f"{type(error).__name__}: {error}", fix)


def _sockets() -> str:
    return f"port {free_port()} of 127.0.0.1 can be listened on"


def _contract() -> str:
    from tenfold.contract.form import Field, Form
    from tenfold.validation.scalar import Decoder

    decoder = Decoder(Form(name="Numbers", fields=(Field(name="x", wire="x", kind="float", ge=0),)))
    refused = decoder.one_slow(b'{"x": -1}').violations
    if decoder.one(b'{"x": 1}') is None or [violation.code for violation in refused] != ["out_of_range"]:
        raise TenfoldError("a contract does not accept and refuse what it should")
    return "a row is read, and one out of range refused"


def _serving() -> str:
    """A service in a folder of its own, served for real, asked, and stopped."""
    with tempfile.TemporaryDirectory(prefix="tenfold-doctor-") as name:
        (Path(name) / "service.py").write_text(SERVICE, "utf-8")
        with serving(Path(name)) as server:
            reply = ask(f"{server.url}/double/predict", json.dumps({"x": 21}).encode())
    if reply.status != 200 or reply.json()["output"] != {"value": 42.0}:
        raise TenfoldError(f"a service answered {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}")
    return f"a service was ready in {server.ready_s:.1f} s and answered in {reply.seconds * 1000:.1f} ms"
