"""What is true: one file per aggregate, pure. No I/O, no clock, no randomness.

Every aggregate's file reads top to bottom in one order: stream name; events (their
names are the storage format); state and ``evolve``; decisions as pure functions
``(state, ...) -> events``. Learn ``job.py`` and you know them all.
"""
