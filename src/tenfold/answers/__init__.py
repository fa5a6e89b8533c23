"""The answer sheet: the ten answers of one service, each as declared, as measured, and as it is right now."""

from tenfold.answers.evidence import Evidence, Fit, Golden, Latency, Startup, keep
from tenfold.answers.html import render_html
from tenfold.answers.sheet import Answer, Sheet, sheet
from tenfold.answers.text import render_text

__all__ = [
    "Answer",
    "Evidence",
    "Fit",
    "Golden",
    "Latency",
    "Sheet",
    "Startup",
    "keep",
    "render_html",
    "render_text",
    "sheet",
]
