"""``tenfold doctor``: a self-test of the installation."""

from __future__ import annotations

import click

from tenfold.cli import screen

FAILED = 1


@click.command()
@screen.json_option
def doctor(as_json: bool) -> None:
    """Test this installation, from the interpreter to a service that is really started and asked.

    A line each: ok, open (an extra that is not installed) or broken. Exits with 1 where something is broken.
    """
    from tenfold.control import health

    findings = []
    with screen.Progress() as progress:
        progress("testing")
        for finding in health.examine():
            findings.append(finding)
            if not as_json:
                screen.print_marked(*finding)
    code = FAILED if any(finding.state == "broken" for finding in findings) else 0
    if as_json:
        screen.print_json({"findings": [finding._asdict() for finding in findings], "exit": code})
    else:
        click.echo("next: tenfold demo" if not code else "report what you cannot mend, with these lines")
    click.get_current_context().exit(code)
