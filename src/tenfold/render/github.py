"""A workflow for GitHub: a pull request is told what it would deploy, and what is merged is deployed.

The store does the deciding, as from anywhere else: a pull request pushes its release, which deploys nothing, and gets the
plan as a comment; on main the release is pushed and deployed, and the job waits until it answers, or was turned back.
Requests from forks get neither the store's secret nor a plan.
"""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath

from tenfold.errors import NotFound, UsageError
from tenfold.render.asked import Asked
from tenfold.render.dockerfile import PINS

PLACE = ".github/workflows"
EXPORT = "uv export --quiet --frozen --no-emit-project --no-emit-package tenfold"


def files(asked: Asked) -> dict[str, str]:
    """The workflow. The service is named by its path in the repository."""
    path = PurePosixPath(asked.path)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"{asked.path} is no path in a repository", f"cd to its root: tenfold render github PATH -o {PLACE}"
        )
    if asked.image_of.pins not in PINS:
        raise NotFound(
            f"nothing pins the libraries of {asked.spec.name}",
            "name them in pyproject.toml, or put a uv.lock or requirements.lock beside service.py",
        )
    return {f"tenfold-{asked.spec.name}.yml": _workflow(asked, path)}


def _workflow(asked: Asked, path: PurePosixPath) -> str:
    image, folder = asked.image_of, path.parent if path.suffix == ".py" else path
    pins = shlex.quote(str(folder / image.pins))
    if image.pins == "uv.lock":
        pins = '"$RUNNER_TEMP/locked.txt"'
        export = f"{EXPORT} --project {shlex.quote(str(folder))} --output-file {pins}\n          "
    else:
        export = ""
    watched = json.dumps(["**" if folder == PurePosixPath(".") else f"{folder}/**", f"{PLACE}/tenfold*"])
    return f"""\
# {asked.spec.title}, written by tenfold render github.
# It needs a secret TENFOLD_STORE: the store whose servers (tenfold serve --store) do what is decided here.
name: tenfold {asked.spec.name}
on:
  pull_request:
    paths: {watched}
  push:
    branches: [main]
    paths: {watched}
concurrency: tenfold-{asked.spec.name}-${{{{ github.ref }}}}
jobs:
  release:
    if: github.event_name == 'push' || github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-latest
    timeout-minutes: 120
    permissions:
      contents: read
      pull-requests: write
    env:
      SERVICE: {json.dumps(str(path))}
      TENFOLD_STORE: ${{{{ secrets.TENFOLD_STORE }}}}
      WHY: ${{{{ github.event.pull_request.html_url || github.event.head_commit.url }}}}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: {json.dumps(image.python)}
      - name: Libraries
        run: |
          pip install --quiet uv
          uv venv --quiet "$RUNNER_TEMP/venv"
          {export}echo "{image.tenfold} @ file://$PWD/{PLACE}/{image.wheel}" > "$RUNNER_TEMP/own.txt"
          uv pip install --quiet --python "$RUNNER_TEMP/venv" \\
            --requirements {pins} --overrides "$RUNNER_TEMP/own.txt" --requirements "$RUNNER_TEMP/own.txt"
          echo "$RUNNER_TEMP/venv/bin" >> "$GITHUB_PATH"
      - name: Check
        run: tenfold check "$SERVICE"
      - name: Push
        run: |
          tenfold push "$SERVICE" --why "$WHY" --json > "$RUNNER_TEMP/pushed.json"
          jq --raw-output '"RELEASE=\\(.service)@\\(.number)"' "$RUNNER_TEMP/pushed.json" >> "$GITHUB_ENV"
      - name: Plan
        if: github.event_name == 'pull_request'
        env:
          GH_TOKEN: ${{{{ github.token }}}}
          NUMBER: ${{{{ github.event.pull_request.number }}}}
        run: |
          {{ echo '```'; tenfold deploy "$RELEASE" --plan; echo '```'; }} > "$RUNNER_TEMP/plan.md"
          gh pr comment "$NUMBER" --body-file "$RUNNER_TEMP/plan.md" --edit-last --create-if-none
      - name: Deploy
        if: github.event_name == 'push'
        run: tenfold deploy "$RELEASE" --wait 90m --why "$WHY"
"""
