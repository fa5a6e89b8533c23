"""How much can one replica take? (Question 7.) A promise in the class, and what a measurement says of it.

What decides about a measurement is here, and ``tenfold.bench`` carries it out: when requests come (``arrivals``), what
became of them at one rate (``trial``, with its ``histogram``), how many show anything (``stopping``), which rate is next
(``knee``), and what was found (``card``). The option class alone is imported here: the front needs no more.
"""

from tenfold.capacity.promise import Capacity

__all__ = ["Capacity"]
