"""Releases with other versions of a library take over from each other under load: `python -m benchmarks.libraries`.

The same code, pushed twice: once with each version of scikit-learn. Each answer is multiplied by the version that gave it, so
that it shows whether the release that it names answered with its own library. Everything else is as in ``benchmarks.swaps``.
Needs an index of packages, from which uv takes the version that is not here.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click
import uvloop

from benchmarks.swaps import SERVICE, Outcome, Plan, ask_all, serving, swap
from tenfold.control import releases

VERSIONS = ("1.6.1", "1.9.1")
LIBRARY = (
    SERVICE.replace(
        "import numpy as np\n", "import numpy as np\nimport sklearn\nfrom sklearn.linear_model import Ridge\n", 1
    )
    .replace("class Times:", 'TIMES = int(sklearn.__version__.replace(".", ""))\n\n\nclass Times:', 1)
    .replace(
        "        np.linalg.svd(np.ones((24, 24)))\n",
        "        Ridge().fit(np.eye(8), np.ones(8)).predict(np.ones((len(numbers), 8)))\n",
        1,
    )
)


def run(plan: Plan, versions: tuple[str, str]) -> tuple[Outcome, list[float]]:
    """Serve, ask and swap; what became of the requests, and how long the first deployment of each release took, its
    environment included."""
    with tempfile.TemporaryDirectory(prefix="tenfold-libraries-") as name:
        folder = Path(name) / "swapped"
        folder.mkdir()
        (folder / "service.py").write_text(LIBRARY, "utf-8")
        for version in versions:
            (folder / "requirements.txt").write_text(f"scikit-learn=={version}\n")
            releases.push(str(folder))
        with serving(folder) as port:
            first = [swap(f"@{number}", folder) for number in (1, 2, 1)][:2]
            return uvloop.run(ask_all(plan, folder, port)), first


@click.command()
@click.option("--swaps", default=20, show_default=True)
@click.option("--steady", "steady_s", default=10.0, show_default=True, help="Seconds before the first swap.")
@click.option("--connections", default=Plan().connections, show_default=True)
@click.option("--load", default=Plan().load, show_default=True, help="Share of the rate that the server takes.")
@click.option("--rate", default=0.0, help="Requests a second, instead of a share.")
@click.option("--versions", nargs=2, default=VERSIONS, show_default=True, help="Of scikit-learn.")
def main(versions: tuple[str, str], **options: float) -> None:
    """Swap versions of a library under load, and say what became of the requests; exits with 6 where a goal is missed."""
    began = time.perf_counter()
    outcome, first = run(Plan(**options), versions)  # type: ignore[arg-type]
    seen = sorted(outcome.times.values())
    expected = sorted(int(version.replace(".", "")) for version in versions)
    click.echo(f"`python -m benchmarks.libraries --versions {' '.join(versions)}`\n{outcome}")
    click.echo(f"first      {', '.join(f'{took_s:.1f} s' for took_s in first)}, environments included")
    click.echo(f"versions   {seen}: {'each release answers with its own' if seen == expected else f'not {expected}'}")
    click.echo(f"took       {time.perf_counter() - began:.0f} s")
    sys.exit(0 if outcome.is_met and seen == expected else 6)


if __name__ == "__main__":
    main()
