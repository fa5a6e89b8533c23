"""The pages of a service: complete, safe to open, and light to make."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tenfold.contract.form import Action, Field, Form, leaves
from tenfold.server.pages import index_page, service_page
from tests.answers.examples import DIGIT, TUMOUR, spec

ROW = {"sample": "B-1", "mean radius": 17.9, "smoothness": 0.1, "scanner": "A"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and the text within each script, style and the rest."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = [""]
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag in ("script", "style", "title"):
            self._open.append(attributes.get("id", tag))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "title"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts[self._open[-1]] = self.texts.get(self._open[-1], "") + data

    def all(self, tag: str, **having: str) -> list[dict[str, str]]:
        """The attributes of each element of a kind that has these attributes."""
        wanted = having.items()
        return [found for name, found in self.elements if name == tag and wanted <= found.items()]


def test_the_page_says_what_the_service_expects() -> None:
    """Each field stands there with its type, its bounds, its unit, and what happens otherwise."""
    text = Page(service_page(spec())).texts[""]
    for word in (
        "Is it malignant?",
        "One biopsy",
        "mean radius",
        "mm",
        "> 0, ≤ 60",
        "becomes 18.84",
        "moved to the bound",
    ):
        assert word in text


def test_the_page_has_an_input_for_each_field() -> None:
    """Every value of a row can be typed in, under a label that a screen reader announces."""
    page = Page(service_page(spec()))
    pointers = [found["data-pointer"] for found in page.all("div") if "data-pointer" in found]
    assert pointers == [pointer for _, _, pointer, _ in leaves(TUMOUR.fields)]
    controls = [found for tag, found in page.elements if tag in ("input", "select") and "id" in found]
    assert {found["id"] for found in controls} == {found["for"] for found in page.all("label")}
    known = {found["id"] for _, found in page.elements if "id" in found}
    assert all(set(found["aria-describedby"].split()) <= known for found in controls)


def test_the_form_starts_with_the_row_that_it_is_given() -> None:
    """A real row is a better example than an invented one."""
    assert json.loads(Page(service_page(spec(), ROW)).texts["example"]) == ROW


def test_without_a_row_the_form_starts_with_one_that_fits() -> None:
    """The example is made from the contract."""
    made = json.loads(Page(service_page(spec())).texts["example"])
    assert 0 < made["mean radius"] <= 60
    assert made["scanner"] in ("A", "B")


def test_a_picture_is_sent_as_it_is() -> None:
    """A contract of one picture has a place to drop it, and the example can be seen."""
    page = Page(service_page(spec(input=DIGIT), PNG))
    assert page.all("input", type="file", accept="image/png")
    assert json.loads(page.texts["facts"])["picture"] is True
    assert b64decode(json.loads(page.texts["example"])["picture"]) == PNG


def test_nested_contracts_are_groups_of_inputs() -> None:
    """An object within a row is filled in field by field."""
    inner = Field(name="street", wire="street/1", kind="text")
    form = Form(name="Person", fields=(Field(name="home", wire="home", kind="object", fields=(inner,)),))
    page = Page(service_page(spec(input=form)))
    assert page.all("fieldset")
    assert page.all("div", **{"data-pointer": "/home/street~11"})


def allowed(page: Page, directive: str) -> str:
    """What the page's own policy allows for a kind of content."""
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    return next(part.split(" ", 1)[1] for part in policy.split("; ") if part.startswith(directive))


@pytest.mark.parametrize("page", [service_page(spec(), ROW), index_page([spec()])], ids=["service", "index"])
def test_only_our_script_and_style_may_run(page: bytes) -> None:
    """The policy names both by their hashes, nothing is loaded from elsewhere, and there are no inline handlers."""
    found = Page(page)
    for tag in ("script", "style"):
        if tag in found.texts:
            digest = b64encode(hashlib.sha256(found.texts[tag].encode()).digest()).decode()
            assert allowed(found, f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed(found, "default-src") == "'none'"
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not re.match(r"https?:|//", attributes.get("src", "") + attributes.get("href", ""))


NASTY = st.text(st.sampled_from("<>&\"'/\\$`{}=a \n"), min_size=1, max_size=12) | st.sampled_from(
    ["</script><script>alert(1)</script>", "<!--", '"><img src=x onerror=alert(1)>', "${alert(1)}", "$name"]
)


@given(NASTY, NASTY, NASTY)
def test_no_text_of_a_contract_becomes_markup(name: str, doc: str, unit: str) -> None:
    """Names, documentation, units, categories and examples are text, whatever they contain."""
    field = Field(name="f", wire=name, kind="float", doc=doc, unit=unit, on_missing=Action("impute", 1.0))
    label = Field(name="c", wire=f"{name}2", kind="category", categories=(name, doc + "!"), doc=doc)
    hostile = Form(name="Form", doc=doc, fields=(field, label))
    tame = Form(
        name="Form", doc="d", fields=(replace(field, wire="a", doc="d", unit="u"), replace(label, wire="b", doc="d"))
    )
    shape = [tag for tag, _ in Page(service_page(spec(input=tame, doc="d"), {})).elements]
    page = Page(service_page(spec(input=hostile, output=hostile, doc=doc or "d"), {name: doc}))
    assert [tag for tag, _ in page.elements if tag in ("script", "img", "svg")] == [
        tag for tag in shape if tag in ("script", "img", "svg")
    ]
    assert json.loads(page.texts["example"]) == {name: doc}


def test_the_list_of_services_leads_to_each() -> None:
    """Whoever opens the address of the server finds what is served."""
    page = Page(index_page([spec(), spec(name="digits", doc="Which digit is it?")]))
    links = [found["href"] for found in page.all("a")]
    assert "tumour-check" in links
    assert "digits" in links
    assert "2 services" in page.texts[""]


def test_the_front_can_make_pages_without_numpy() -> None:
    """The front imports this module, and stays small."""
    code = "import sys, tenfold.server.pages; print({'numpy', 'click', 'tenfold.service'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, by WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_in_light_and_in_dark() -> None:
    """Text has a contrast of at least 4.5 on every ground that it stands on, and borders of inputs 3 (WCAG 2.2 AA)."""
    style = Page(index_page([])).texts["style"]
    schemes: list[dict[str, Any]] = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in style.split("}")[:2]]
    for colours in schemes:
        for ground in ("paper", "card", "tint"):
            for text in ("ink", "soft", "accent", "met", "open", "broken"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["edge"], colours["card"]) >= 3
        assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
        assert contrast(colours["broken"], colours["broken-wash"]) >= 4.5
        assert contrast(colours["soft"], colours["changed-wash"]) >= 4.5
