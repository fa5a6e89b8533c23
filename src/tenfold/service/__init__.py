"""The user's class: ten answers in the order of the questions.

``Service`` is what a user derives from, ``spec`` reads and checks what the class declares, ``find`` imports it from a
folder or a file.
"""

from tenfold.service.declare import Service
from tenfold.service.find import find, started
from tenfold.service.read import spec
from tenfold.service.source import folder_of
from tenfold.spec import Spec

__all__ = ["Service", "Spec", "find", "folder_of", "spec", "started"]
