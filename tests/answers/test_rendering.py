"""The sheet as a person sees it, in a terminal and as a page."""

from __future__ import annotations

from html.parser import HTMLParser

from tenfold.answers import render_html, render_text, sheet
from tests.answers.examples import evidence, latency, live, spec

EXPECTED = """\
tumour-check  ·  release 3f9c2a1 · 6 met, 4 open
                 declared                    measured 2026-11-14         live
 1 ● contract    4 fields, key sample        888 of 891 rows fit         41,020 rows
 2 ● validation  2 reject, 2 flag, 1 clamp,  0.34 % would be refused     0.2 % refused; mean
                 1 impute                                                texture impute 3.1 %
"""


def test_the_sheet_reads_as_three_columns() -> None:
    """Declared, measured and live stand side by side."""
    made = render_text(sheet(spec(), evidence=evidence(), live=live()))
    assert made.startswith(EXPECTED)


def test_the_sheet_fits_a_terminal_of_a_hundred_columns() -> None:
    """Long names and reasons are wrapped, not cut."""
    wordy = spec(preprocess="preprocess, a/very/deep/folder/with/a/long/name/service.py:1234")
    lines = render_text(sheet(wordy, live=live())).splitlines()
    assert max(map(len, lines)) <= 100


def test_what_is_broken_is_said_first() -> None:
    """The list of what is left to do starts with what is wrong."""
    made = render_text(sheet(spec(), evidence=evidence(latency=latency(one_s=1.0, one_p99_s=1.0)), target="tumour"))
    below = made.split("\n\n")[1]
    assert below.startswith("! 6 deadline")
    assert "next: tenfold push tumour, tenfold serve --store, tenfold deploy" in below


def test_a_sheet_where_all_is_met_ends_with_the_table() -> None:
    """There is nothing to do, so nothing is said."""
    made = sheet(spec(), evidence=evidence())
    fine = [answer for answer in made.answers if answer.state == "met"]
    assert "next" not in render_text(type(made)(service="x", release="", answers=tuple(fine)))


class Words(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_sheet_as_a_page_is_one_file_without_a_script() -> None:
    """It can be attached to a review, opened anywhere, and printed."""
    page = render_html(sheet(spec(), evidence=evidence(), live=live()))
    words = Words(page)
    assert "script" not in words.tags
    assert "http" not in page.replace("http-equiv", "").replace("http%3A//www.w3.org/2000/svg", "")
    assert "888 of 891 rows fit" in words.text
    assert "500 rows/s are promised, and nobody has shown them yet" in words.text


def test_names_cannot_smuggle_markup_into_the_page() -> None:
    """Whatever a service declares is text."""
    page = render_html(sheet(spec(name="<b>x", preprocess="<script>alert(1)</script>")))
    assert "<script" not in page
    assert "<b>x" not in page
