"""W3C Trace Context: what is a trace, what is not, and what is answered."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.server.replies import Ids
from tenfold.server.tracing import Trace, parse

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{ID}-{PARENT}-01", Trace(ID, 1)),
        (f"00-{ID}-{PARENT}-00", Trace(ID, 0)),
        (f"cc-{ID}-{PARENT}-01", Trace(ID, 1)),
        (f"cc-{ID}-{PARENT}-01-what-may-come", Trace(ID, 1)),
        (f"00-{ID}-{PARENT}-01-what-may-come", None),
        (f"cc-{ID}-{PARENT}-01.what", None),
        (f"ff-{ID}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{ID}-{'0' * 16}-01", None),
        (f"00-{ID.upper()}-{PARENT}-01", None),
        (f"00-{ID}-{PARENT}", None),
        (f"00-{ID}-{PARENT}-1", None),
        (f" 00-{ID}-{PARENT}-01", None),
        (f"00-{ID}-{PARENT}-01, 00-{ID}-{PARENT}-01", None),
        ("", None),
    ],
)
def test_what_a_traceparent_says(header: str, trace: Trace | None) -> None:
    """A header that breaks the standard is ignored, as it asks; one of a later version is read as far as it is known."""
    assert parse(header) == trace


@given(st.text("0123456789abcdfF-, é", max_size=80))
def test_any_text_is_read_or_ignored(header: str) -> None:
    """Nothing that a client can send is an error."""
    parse(header)


@given(st.integers(0, 255))
def test_what_is_answered(flags: int) -> None:
    """The answer names the caller's trace and our part of it, with the flags that the standard knows, and no others."""
    trace = parse(f"00-{ID}-{PARENT}-{flags:02x}")
    assert trace is not None
    request_id = Ids().next(1.0)
    answered = trace.response(request_id)
    found = re.fullmatch(rf"00-{ID}-([0-9a-f]{{16}})-0([0-3])", answered)
    assert found is not None
    assert found[1] == request_id.decode().replace("-", "")[16:]
    assert int(found[2]) == flags & 3
    assert trace.sampled == (flags & 1 == 1)
