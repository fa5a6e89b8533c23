"""What runs, what comes next, when to turn back? (Question 9.) A release takes over step by step, by evidence.

The option class alone is imported here: the front knows what a service declares, and decides nothing.
"""

from tenfold.releases.options import Releases

__all__ = ["Releases"]
