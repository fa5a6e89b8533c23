"""The answer sheet: the ten answers of one service, each as declared, as measured, and as it is right now."""

from tenfold.answers.curve import render_curve
from tenfold.answers.evidence import Capacity, Evidence, Fit, Golden, Latency, Simulation, Startup, keep, machine
from tenfold.answers.html import render_html
from tenfold.answers.sheet import Answer, Sheet, sheet
from tenfold.answers.text import render_text

__all__ = [
    "Answer",
    "Capacity",
    "Evidence",
    "Fit",
    "Golden",
    "Latency",
    "Sheet",
    "Simulation",
    "Startup",
    "keep",
    "machine",
    "render_curve",
    "render_html",
    "render_text",
    "sheet",
]
