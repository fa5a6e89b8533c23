"""A service as an image: libraries installed in one stage, served in another, as a user without rights.

The libraries are those that the service pins, and the tenfold that writes this, as a wheel beside the Dockerfile: whatever an
index has under its name. The image is checked while it is built, in the environment that will serve: where its golden records
are not answered as in training, there is no image.
"""

from __future__ import annotations

from tenfold.errors import NotFound
from tenfold.render.asked import Asked
from tenfold.render.pods import NOTES, SERVICE, USER, command

PINS = ("uv.lock", "pylock.toml", "requirements.lock", "requirements.txt", "pyproject.toml")  # the surest first
IGNORED = (".git", ".tenfold", ".venv", ".env", "**/__pycache__", "**/*.pyc", "build", "dist", "tests")
EXPORT = "uv export --quiet --frozen --no-emit-project --no-default-groups --no-emit-package tenfold --output-file locked.txt"


def files(asked: Asked) -> dict[str, str]:
    """The Dockerfile, and what its build does not look at. The folder of the service is the context of the build."""
    if asked.image_of.pins not in PINS:
        raise NotFound(
            f"nothing pins the libraries of {asked.spec.name}",
            "name them in pyproject.toml, or put a uv.lock or requirements.lock beside service.py",
        )
    return {"Dockerfile": _dockerfile(asked), "Dockerfile.dockerignore": "\n".join(IGNORED) + "\n"}


def _dockerfile(asked: Asked) -> str:
    image = asked.image_of
    base = asked.wanted.base or f"python:{image.python}-slim"
    locked = image.pins == "uv.lock"
    needed, pins = ("pyproject.toml uv.lock", "locked.txt") if locked else (image.pins, image.pins)
    return f"""\
# {asked.spec.title}, written by tenfold render dockerfile.
# docker build --tag {asked.image} --file DIR/Dockerfile --build-context tenfold=DIR FOLDER-OF-THE-SERVICE

FROM {base} AS libraries
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY {needed} ./
COPY --from=tenfold {image.wheel} ./
RUN echo '{image.tenfold} @ file:///build/{image.wheel}' > own.txt{f" && {EXPORT}" if locked else ""}
# uv goes along: it is asked whether a release that a store deploys has its libraries here
RUN uv venv /opt/venv && cp "$(command -v uv)" /opt/venv/bin/ \\
    && uv pip install --python /opt/venv --requirements {pins} --overrides own.txt --requirements own.txt

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
