"""The documentation says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenfold.batching import Batching
from tenfold.capacity import Capacity
from tenfold.config import Server
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.errors import CODES
from tenfold.options import Option, documentation
from tenfold.questions import QUESTIONS
from tenfold.releases import Releases
from tenfold.scaling import Scaling
from tenfold.service.overlay import WORDS

DOCS = Path(__file__).parents[2] / "docs"
OPTIONS: list[type[Option]] = [Batching, Deadline, Capacity, Scaling, Releases, Drift]


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.n}-{question.word}")
def test_each_question_has_a_page(question: tuple[int, str, str]) -> None:
    """Whoever knows the word of a question finds its page, which starts with its number."""
    n, word, _ = question
    assert re.match(rf"# (3 and 4|{n}) · {word}: ", page(word))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.__name__)
def test_each_option_is_explained_in_the_words_of_the_code(option: type[Option]) -> None:
    """The page of an option lists each of its fields with what it means."""
    for name, meaning in documentation(option).items():
        assert re.search(
            rf"^\| `{name}` \| .+ \| {re.escape(meaning)} \|$", page(option.__name__.lower()), re.MULTILINE
        )


def test_each_limit_of_the_server_is_explained() -> None:
    """The page of configuration lists what [server] may say, in the words of the code, and names each table."""
    for name, meaning in documentation(Server).items():
        assert re.search(rf"^\| `{name}` \| .+ \| {re.escape(meaning)} \|$", page("configuration"), re.MULTILINE)
    assert all(f"`{word}`" in page("configuration") for word in WORDS if word != "server")


@pytest.mark.parametrize("code", CODES)
def test_each_error_code_is_explained(code: str) -> None:
    """The page of errors has each code with its status, its meaning and what to do."""
    known = CODES[code]
    section = f"### {code}\n\n{known.status} · {known.title}.\n\n{known.meaning}\n\n**What to do:** {known.fix}\n"
    assert section in page("errors"), f"docs/errors.md has to say:\n{section}"


def test_no_code_is_explained_that_does_not_exist() -> None:
    """A code that was renamed leaves no page behind."""
    assert set(re.findall(r"^### (.+)$", page("errors"), re.MULTILINE)) == set(CODES)


@pytest.mark.parametrize("file", sorted(DOCS.rglob("*.md")), ids=lambda file: file.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(file: Path) -> None:
    """A reader who follows a link between pages arrives."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text("utf-8"))
    assert [target for target in targets if not (file.parent / target).exists()] == []


def test_each_decision_is_listed() -> None:
    """The list of decisions is complete, and each record says when it was made."""
    records = {file.name for file in (DOCS / "decisions").glob("*.md")} - {"README.md"}
    listed = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| \[.+\]\((.+)\) \|$", page("decisions/README"), re.MULTILINE)
    assert {name for _, name in listed} == records
    for date, name in listed:
        assert f"\n{date}\n" in (DOCS / "decisions" / name).read_text("utf-8")
