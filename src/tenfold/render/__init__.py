"""What the next system is told of a service: a declaration in, documents out. Nothing is asked, nothing started.

What a system cannot do of what a service declares is refused by name, never left out: a canary that is not there, for one,
would be found out when it is needed. Numbers come from what was measured, and where nobody measured it is said who should.
"""

from tenfold.render.asked import Asked, Image, Measured, Wanted

__all__ = ["Asked", "Image", "Measured", "Wanted"]
