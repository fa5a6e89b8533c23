"""Does serving equal training? Golden requests are recorded, replayed stage by stage, and the first that differs
named.

``record`` keeps what training fed the model and what came out, beside what the service makes of the raw requests;
``replay`` holds the service against it; ``renew`` takes over the answers of a new model; ``rehearse`` is what a
replica does before it says that it is ready.
"""

from tenfold.parity.golden import STAGES, exists, sample
from tenfold.parity.record import record, renew
from tenfold.parity.replay import rehearse, replay
from tenfold.parity.report import Report, Stage

__all__ = ["STAGES", "Report", "Stage", "exists", "record", "rehearse", "renew", "replay", "sample"]
