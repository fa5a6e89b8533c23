"""The declared answer: when do labels come, how much change matters, and how seldom may an alarm be false?"""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import duration, ratio, seconds, size_bytes


class Drift(Option, frozen=True):
    """What is known about the truth, what change is worth a verdict, and how rarely a verdict may be wrong."""

    labels_after: Annotated[
        str | None,
        Meta(description='the time from an answer to its label, such as "30 days"; None where none ever comes'),
    ] = None
    window: Annotated[
        str | None,
        Meta(description='rows are judged in windows of this time, such as "1 h"; None lets tenfold choose'),
    ] = None
    loss_tolerance: Annotated[
        str, Meta(description="the loss may grow by this share of the loss on the reference before that is harm")
    ] = "10 %"
    drift_tolerance: Annotated[
        str, Meta(description="this share of the rows of a field may move elsewhere before that is drift")
    ] = "10 %"
    segments: Annotated[
        tuple[str, ...], Meta(description='fields whose values are watched one by one, such as ("region",)')
    ] = ()
    false_alarm_probability: Annotated[
        float, Meta(gt=0, le=0.5, description="how likely one false alarm is, ever, while nothing changes")
    ] = 0.01
    mean_windows_between_false_alarms: Annotated[
        Annotated[int, Meta(ge=2)] | None,
        Meta(description="alarms that renew themselves: a false one in so many windows, instead of ever"),
    ] = None
    webhook: Annotated[
        str | None, Meta(description="an address that is told of each new verdict, as a signed CloudEvent")
    ] = None
    retrain: Annotated[
        str | None,
        Meta(description='a command that trains on recent rows, such as "python train.py"; None only suggests it'),
    ] = None
    retrain_at_most_every: Annotated[
        str, Meta(description='the least time between two trainings, such as "7 days"')
    ] = "7 days"
    journal: Annotated[
        Literal["outputs", "inputs", "off"],
        Meta(description="what is kept of each prediction: its output, its input as well, or nothing"),
    ] = "outputs"
    keep: Annotated[str, Meta(description='predictions are deleted after this time, such as "90 days"')] = "90 days"
    keep_at_most: Annotated[
        str, Meta(description='of more bytes of predictions than these, such as "1 GiB", the oldest are deleted')
    ] = "1 GiB"

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.labels_after_s, self.window_s, self.loss_share, self.drift_share  # a wrong unit is an error here
        if self.webhook is not None and not self.webhook.startswith(("http://", "https://")):
            raise self.fault("webhook", "an address begins with https://, or with http:// within a network")
        if self.window_s is not None and self.window_s <= 0:
            raise self.fault("window", "a window takes some time")
        if self.retrain is not None and not _is_command(self.retrain):
            raise self.fault("retrain", f"{self.retrain!r} is no command")
        if self.retrain_at_most_every_s < 60:
            raise self.fault("retrain_at_most_every", "a minute is the least")
        if self.keep_s <= 0:
            raise self.fault("keep", 'what is kept for no time is not kept: write journal="off"')
        if self.keep_at_most_bytes < 2**20:
            raise self.fault("keep_at_most", "the journal needs 1 MiB")

    @property
    def labels_after_s(self) -> float | None:
        """The time from an answer to its label in seconds."""
        return None if self.labels_after is None else self.quantity("labels_after", seconds)

    @property
    def window_s(self) -> float | None:
        """The length of a window in seconds."""
        return None if self.window is None else self.quantity("window", seconds)

    @property
    def loss_share(self) -> float:
        """The tolerated growth of the loss, as a share of one."""
        return self.quantity("loss_tolerance", ratio)

    @property
    def drift_share(self) -> float:
        """The tolerated share of moved rows, of one."""
        return self.quantity("drift_tolerance", ratio)

    @property
    def retrain_at_most_every_s(self) -> float:
        """The least time between two trainings in seconds."""
        return self.quantity("retrain_at_most_every", seconds)

    @property
    def keep_s(self) -> float:
        """How long predictions are kept, in seconds."""
        return self.quantity("keep", seconds)

    @property
    def keep_at_most_bytes(self) -> int:
        """How many bytes of predictions are kept."""
        return self.quantity("keep_at_most", size_bytes)

    @property
    def threshold(self) -> float:
        """What the evidence against "nothing changed" has to reach: an alarm by chance is at most 1/threshold likely."""
        return float(self.mean_windows_between_false_alarms or 1 / self.false_alarm_probability)

    def describe(self) -> str:
        return "no labels" if self.labels_after_s is None else f"labels after {duration(self.labels_after_s)}"


def _is_command(text: str) -> bool:
    """Whether a shell would know what to run."""
    try:
        return bool(shlex.split(text))
    except ValueError:  # a quotation that does not end
        return False
