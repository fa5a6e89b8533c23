"""What a service declared, as plain values: the part of a service that travels to the front, the pages and the sheet.

``tenfold.service.spec`` reads it from the user's class. It holds no user code, so that whoever receives it needs none.
"""

from __future__ import annotations

import msgspec

from tenfold.batching import Batching
from tenfold.capacity import Capacity
from tenfold.contract.form import Form
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.releases import Releases
from tenfold.scaling import Scaling


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The ten answers of one service as declared.

    ``name`` is its place in routes, ``title`` its class, ``model`` the path or the kind of object that it names.
    ``preprocess`` and ``postprocess`` say in words what turns the input into the model's and back. ``places`` maps
    each attribute that the class states to where it does ("service.py:22"); ``defaults`` has the numbers of the
    questions that it leaves to tenfold. ``parts`` maps what a release consists of to digests, and ``release`` is the
    digest of these.
    """

    name: str
    title: str
    doc: str
    input: Form
    output: Form
    model: str
    preprocess: str
    postprocess: str
    batching: Batching = Batching()
    deadline: Deadline = Deadline()
    capacity: Capacity = Capacity()
    scaling: Scaling = Scaling()
    releases: Releases = Releases()
    drift: Drift = Drift()
    places: dict[str, str] = {}
    defaults: tuple[int, ...] = ()
    parts: dict[str, str] = {}
    release: str = ""
