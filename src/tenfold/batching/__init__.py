"""How many rows go together? (Question 5.) A free replica takes what waits; no batch is waited for to fill.

A predict costs nearly the same for one row as for 64, so batches that grow by themselves under load are the
lever of throughput. ``Line`` keeps what waits in order, and ``next_batch`` decides how much of it goes.
"""

from tenfold.batching.choice import Choice as Choice
from tenfold.batching.choice import Head as Head
from tenfold.batching.choice import next_batch as next_batch
from tenfold.batching.line import Line as Line
from tenfold.batching.option import Batching as Batching
