"""The doors: HTTP API, event relay, projector, sweeper, worker and command line. Each parses
what arrives, calls a command or a query, and renders the answer; no rule lives here.
"""
