"""How many replicas? (Question 8.) The number follows the traffic by stated criteria: out early, in late.

The option class alone is imported here: the front knows what a service declares, and decides nothing.
"""

from tenfold.scaling.options import Scaling

__all__ = ["Scaling"]
