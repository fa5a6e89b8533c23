"""A service as an image: libraries installed in one stage, served in another, as a user without rights.

The image is checked while it is built, in the environment that will serve: where its golden records are not answered as in
training, there is no image.
"""

from __future__ import annotations

from tenfold.errors import NotFound
from tenfold.render.asked import Asked
from tenfold.render.pods import NOTES, SERVICE, USER, command

IGNORED = (".git", ".tenfold", ".venv", ".env", "**/__pycache__", "**/*.pyc", "build", "dist", "tests")
FROM_PROJECT = (
    "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\\n')"
)
INSTALL = {  # by the file that pins the libraries, the surest first
    "uv.lock": "pip install uv && uv export --quiet --frozen --no-emit-project --output-file /tmp/pins.txt"
    " && pip install --require-hashes --requirement /tmp/pins.txt",
    "pylock.toml": "pip install uv && uv pip install --python /opt/venv/bin/python --requirement pylock.toml",
    "requirements.lock": "pip install --requirement requirements.lock",
    "requirements.txt": "pip install --requirement requirements.txt",
    "pyproject.toml": f'python -c "{FROM_PROJECT}" > /tmp/pins.txt && pip install --requirement /tmp/pins.txt',
}


def files(asked: Asked) -> dict[str, str]:
    """The Dockerfile, and what its build does not look at. The folder of the service is the context of the build."""
    pins = asked.image_of.pins
    if pins not in INSTALL:
        raise NotFound(
            f"nothing pins the libraries of {asked.spec.name}",
            "name them in pyproject.toml, tenfold among them, or put a uv.lock or requirements.lock beside service.py",
        )
    return {"Dockerfile": _dockerfile(asked, pins), "Dockerfile.dockerignore": "\n".join(IGNORED) + "\n"}


def _dockerfile(asked: Asked, pins: str) -> str:
    base = asked.wanted.base or f"python:{asked.image_of.python}-slim"
    needed = "pyproject.toml uv.lock" if pins == "uv.lock" else pins
    return f"""\
# {asked.spec.title}, written by tenfold render dockerfile.
# docker build --tag {asked.image} --file Dockerfile FOLDER-OF-THE-SERVICE

FROM {base} AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
COPY {needed} ./
RUN {INSTALL[pins]}

FROM {base}
LABEL org.opencontainers.image.title={asked.spec.name} org.opencontainers.image.version={asked.version}
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=libraries /opt/venv /opt/venv
COPY . {SERVICE}
WORKDIR {SERVICE}
# golden records are answered here as in training, or there is no image; what was measured on this machine stays out of it
RUN tenfold check {asked.target} \\
    && rm -rf {NOTES} && install --directory --owner {USER} --group {USER} {NOTES}
ENV PYTHONDONTWRITEBYTECODE=1
USER {USER}:{USER}
EXPOSE {asked.port} {asked.metrics_port}
ENTRYPOINT ["tenfold"]
CMD [{", ".join(f'"{word}"' for word in command(asked))}]
"""
