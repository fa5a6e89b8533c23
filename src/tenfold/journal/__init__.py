"""What was predicted, kept: append-only segments that fronts write, and that people, drift and gates read.

``writer`` is the front's side and needs no NumPy; ``reader`` gives columns. ``segment`` says what a file holds, ``picking``
which columns may go into it, ``disk`` when a new one begins and what is done when the disk refuses, ``retention`` which are
deleted.
"""
