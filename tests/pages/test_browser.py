"""The page in a real browser, served by a real server: it sends, and shows what came back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.control.servers import Server, serving
from tests.pages.browser import ENTER, MISSING, Browser, browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        MISSING is not None, reason=f"no {MISSING} on this machine; Debian: apt install chromium-driver"
    ),
]

SERVICE = '''
from typing import Annotated, Literal

from tenfold import Alias, Contract, Ge, Gt, Image, Key, Le, Service, flag, on_missing, rule


class Clinic(Contract):
    country: str
    beds: list[int] | None


class Tumour(Contract):
    """One biopsy, as the laboratory sends it."""

    sample: Annotated[str, Key()]
    mean_radius: Annotated[float, Alias("mean radius"), Gt(0), Le(60)]
    mean_texture: Annotated[float, Alias("mean texture"), Ge(0), on_missing(18.84)]
    patient: int
    scanner: Literal["A", "B"]
    clinic: Clinic

    @rule(on_invalid=flag)
    def big_tumours_are_rough(rows):
        return (rows.mean_radius < 25) | (rows.mean_texture > 10)


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class TumourCheck(Service):
    """Is it malignant?"""

    input, output, model = Tumour, Diagnosis, lambda radius: radius / 60

    def preprocess(self, rows):
        return rows.mean_radius

    def postprocess(self, scores):
        return {"label": ["malignant" if score > 0.25 else "benign" for score in scores], "probability": scores}
'''
GRAY = """
from typing import Annotated

from tenfold import Contract, Image, Service


class Picture(Contract):
    picture: Annotated[object, Image(formats=("PNG",), order="gray", size=(2, 2), layout="HW")]


class Brightness(Contract):
    brightness: float


class Gray(Service):
    input, output, model = Picture, Brightness, lambda pictures: pictures.mean(axis=(1, 2))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of five fields, served as a user serves it."""
    folder = tmp_path_factory.mktemp("tumour")
    (folder / "service.py").write_text(SERVICE)
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One window for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(server: Server, window: Browser) -> Browser:
    """The page of the service, with a valid row in its form."""
    window.open(f"{server.url}/tumour-check")
    values = {
        "sample": "B-1",
        "mean radius": "30",
        "mean texture": "12",
        "patient": "7",
        "scanner": '"A"',
        "clinic/country": "CH",
    }
    for field, value in values.items():
        window.type(at(field), value)
    return window


def at(field: str) -> str:
    """The input of a field."""
    return f'[data-pointer="/{field}"] :is(input, select, textarea)'


def send(page: Browser) -> None:
    """Press the button, and wait for the answer."""
    page.run("document.querySelector('#status').hidden = true")
    page.click("#send")
    page.wait("!document.querySelector('#status').hidden")


def test_a_row_that_is_sent_gets_its_answer(page: Browser) -> None:
    """The label is what stands there first, with its probability and the time that each stage took."""
    send(page)
    assert page.text("#status") == "200"
    assert page.text(".outputs .first dd") == "malignant"
    assert "0.5" in page.text("#answer")
    assert "model" in page.text(".timing")


def test_an_invalid_value_is_explained_beside_its_field(page: Browser) -> None:
    """Each field that is wrong says so itself, to the eye and to a screen reader."""
    page.type(at("mean radius"), "wide")
    page.type(at("scanner"), "")
    send(page)
    assert page.text("#status") == "422"
    assert page.text('[data-pointer="/mean radius"] .note') == "mean radius must be a number, found text"
    assert "scanner" in page.text('[data-pointer="/scanner"] .note')
    assert page.run("return document.querySelectorAll('[aria-invalid=true]').length") == 2


def test_a_change_is_said_beside_its_field(page: Browser) -> None:
    """A value that validation put in is not mistaken for one that was sent."""
    page.type(at("mean texture"), "")
    send(page)
    assert page.text("#status") == "200"
    assert "18.84" in page.text('[data-pointer="/mean texture"] .note')


def test_a_rule_that_flags_is_listed(page: Browser) -> None:
    """What belongs to no single field stands with the answer."""
    page.type(at("mean texture"), "5")
    send(page)
    assert "rule:big_tumours_are_rough" in page.text("#answer")


def test_long_numbers_keep_their_digits(page: Browser) -> None:
    """A 64-bit id is more than a JavaScript number can hold."""
    page.type(at("patient"), "9007199254740993")
    assert '"patient": 9007199254740993' in page.text("#snippet")
    page.click("[data-typing=json]")
    page.click("[data-typing=form]")
    assert page.run(f"return document.querySelector({at('patient')!r}).value") == "9007199254740993"


def test_what_is_nested_is_sent_nested(page: Browser) -> None:
    """Objects and lists within a row are filled in like everything else, and faults within them are found."""
    page.type(at("clinic/beds"), "12, many")
    assert '"beds": [12, "many"]' in page.text("#snippet")
    send(page)
    assert page.text("#status") == "422"
    assert "beds" in page.text('[data-pointer="/clinic/beds"] .note')
    page.type(at("clinic/beds"), "12, 30")
    send(page)
    assert page.text("#status") == "200"


def test_the_commands_are_those_of_the_form(page: Browser, server: Server) -> None:
    """What is copied from the page sends what the form sends."""
    page.type(at("sample"), "O'Neill")
    command = page.text("#snippet")
    assert f"curl '{server.url}/tumour-check/predict'" in command
    assert "O'\\''Neill" in command
    page.click("[data-language=python]")
    assert '"sample": "O\'Neill"' in page.text("#snippet")
    page.click("[data-language=curl]")


def test_many_rows_are_answered_one_by_one(page: Browser) -> None:
    """Typed as JSON, an array shows which rows were answered and why others were not."""
    page.click("[data-typing=json]")
    row = '{"sample": "B-1", "mean radius": 30, "patient": 7, "scanner": "A", "clinic": {"country": "CH"}}'
    page.type("#raw", f"[{row}, {{}}]")
    send(page)
    assert "1 answered, 1 refused" in page.text("#answer")
    assert "row 1: " in page.text("#answer")


def test_the_ten_answers_are_live(page: Browser) -> None:
    """The marks on the page are those of the answer sheet."""
    page.wait("document.querySelector('#tally').textContent.includes('met')")
    states = page.run("return [...document.querySelectorAll('.ten li')].map(answer => answer.dataset.state)")
    assert len(states) == 10
    assert set(states) <= {"met", "open", "broken"}
    assert "replica" in page.text("#answer-8 .live")


def test_the_browser_has_nothing_to_complain_about(page: Browser) -> None:
    """No script or style is refused by the page's own policy, and nothing is missing."""
    page.complaints()
    send(page)
    assert page.complaints() == []


def test_the_page_can_be_used_with_the_keyboard_alone(page: Browser) -> None:
    """Enter within a field sends the form."""
    page.run("document.querySelector('#status').hidden = true")
    page.keys(at("sample"), ENTER)
    page.wait("!document.querySelector('#status').hidden")
    assert page.text("#status") == "200"


def test_the_page_fits_a_phone(page: Browser) -> None:
    """Nothing has to be scrolled sideways on a screen of 360 pixels."""
    page.devtools("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    try:
        assert page.run("return document.documentElement.scrollWidth") == 360
    finally:
        page.devtools("Emulation.clearDeviceMetricsOverride")


def test_a_picture_is_sent_as_the_request(window: Browser, tmp_path: Path) -> None:
    """A file that is chosen is shown, and its bytes are the body."""
    pillow = pytest.importorskip("PIL.Image", reason="no Pillow")
    pillow.new("L", (2, 2), 51).save(tmp_path / "gray.png")
    (tmp_path / "service.py").write_text(GRAY)
    with serving(tmp_path) as running:
        window.open(f"{running.url}/gray")
        window.keys("input[type=file]", str(tmp_path / "gray.png"))
        window.wait("document.querySelector('.name').textContent.startsWith('gray.png')")
        assert "--data-binary '@gray.png'" in window.text("#snippet")
        send(window)
        assert window.text(".outputs .first dd") == "51.0"
