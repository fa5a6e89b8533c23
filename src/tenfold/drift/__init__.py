"""Does the model need an update? (Question 10.) Reference and live rows are counted alike, and a verdict names its causes.

The option class alone is imported here: the front knows what a service declares, and never imports NumPy.
"""

from tenfold.drift.options import Drift

__all__ = ["Drift"]
