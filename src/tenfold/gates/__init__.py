"""What a release has to show before it takes traffic: what is looked at, in its own interpreter, and what follows from that.

Each gate says ``passed``, ``failed`` or ``unproven``, and why. What failed takes no traffic; what is
unproven nobody has shown, and says what would show it.
"""

from tenfold.gates.seen import Answered, Asked, Golden, Request, Seen, Variant
from tenfold.gates.verdicts import Verdict, Word

__all__ = ["Answered", "Asked", "Golden", "Request", "Seen", "Variant", "Verdict", "Word"]
