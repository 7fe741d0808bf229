"""The outside world behind the Protocols that its users declare.

``bootstrap.py`` is the only composition root: nothing else here knows how parts fit.
"""
