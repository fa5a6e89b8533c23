"""What waits in a lane, and what a batch is made of: requests of one row, and parts of those with many."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.server.books import Books
from tenfold.server.compiled import hot
from tenfold.server.many import Part
from tenfold.server.remarks import Outcome
from tenfold.server.replies import plain
from tenfold.server.requests import Single

Item = Single | Part


def cut(item: Item, rows: int) -> tuple[Part, Part]:
    """Its first so many rows, and the rest."""
    assert isinstance(item, Part)  # a single row is no larger than any batch
    request, places, packed = item.request, item.places, item.packed
    return Part(request, places[:rows], packed[:rows]), Part(request, places[rows:], packed[rows:])


def give_each(items: Sequence[Item], outcome: Outcome, now: float, lane: Books, came: list[float]) -> None:
    """Answer everything that a batch is made of. Nearly always that is requests of one row, in good time, of which nothing is
    to be said: these are answered here, and are yet to be counted as good, for which ``came`` takes when they did."""
    in_good_time = outcome.notes is None and items[0].due - now >= lane.tight_s
    outputs, sent, pieces = outcome.outputs, outcome.sent, lane.replies.pieces(outcome.timing)
    at = 0
    for item in items:
        output = outputs[at]
        if (
            type(item) is Single
            and in_good_time
            and output is not None
            and item.remarks is None
            and item.head.trace is None
        ):
            connection = item.connection
            if not item.done and connection.transport is not None:
                head, name, started, decoded = item.head, item.id, item.started, item.decoded
                response = plain(pieces, name, head.trace_id or name, decoded - started, sent - decoded, output)
                item.done = True
                came.append(started)
                connection.send(response, head.keep_alive)
            at += 1
        else:
            item.answer(outcome, at, now)
            at += item.rows


give = give_each if hot is None else hot.giver(Single)
