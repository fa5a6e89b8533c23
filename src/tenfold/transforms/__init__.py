"""Questions 3 and 4: what happens before the model, and after it?

``preprocessor`` and ``postprocessor`` are the defaults, each made ready once for a contract and a model and then
called for every batch. ``OutputCheck`` holds whatever postprocess produced against the output contract. Pictures are
in ``pictures``.
"""

from tenfold.transforms.output import OutputCheck
from tenfold.transforms.postprocess import postprocessor
from tenfold.transforms.preprocess import preprocessor

__all__ = ["OutputCheck", "postprocessor", "preprocessor"]
