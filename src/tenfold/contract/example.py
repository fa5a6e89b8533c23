"""A row that the contract accepts, made up from the contract alone: for the page, the documentation and the first warm-up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from tenfold.contract.form import Field, Form
from tenfold.contract.leaf import divides, lower_bound, upper_bound
from tenfold.contract.reading import DTYPES, days, microseconds, written
...
