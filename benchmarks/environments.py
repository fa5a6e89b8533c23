"""What is measured with what: an environment for each peer, made once by uv; versions; the machine."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers import VENVS, Server

MODEL_PACKAGES = ("joblib", "numpy", "scikit-learn")


def install(server: Server) -> None:
    """Make the peer's environment, with the scikit-learn that wrote the model, unless it stands already."""
    wanted = [*server.packages, *(f"{name}=={importlib.metadata.version(name)}" for name in MODEL_PACKAGES)]
    folder = VENVS / server.name
    stamp = folder / "benchmark.txt"
    if stamp.exists() and stamp.read_text().split() == wanted:
        return
    print(f"installing {server.name}: {' '.join(wanted)}", flush=True)
    uv = _find_uv()
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", f"{folder}/bin/python", *wanted], check=True)
    stamp.write_text("\n".join(wanted))


def versions(servers: Sequence[Server]) -> str:
    """What was measured, with what: our libraries, then those of the peers."""
    ours = ("tenfold", "scikit-learn", "onnxruntime", "numpy", "msgspec", "httptools", "uvloop")
    said = [f"Python {platform.python_version()}"]
    said += [f"{name} {importlib.metadata.version(name)}" for name in ours]
    said += [package.replace("==", " ") for server in servers for package in server.packages]
    return ", ".join(said)


def machine() -> str:
    """The processor, the cores that may be used and the kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{model}, {len(models)} cores, Linux {platform.release().partition('-')[0]}"


def _find_uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise SystemExit("error: uv is needed to install the peers.\nfix:   python -m pip install uv")
    return found
