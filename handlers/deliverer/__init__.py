"""The deliverer: doorbells in, a message for each webhook endpoint that wants to know, and POSTs
until each is delivered or given up.

- ``announcing``: a commit becomes deliveries. They are durable before its doorbell is
  acknowledged, and their ids are a hash of event and endpoint, so a doorbell that comes again
  changes nothing. Nothing is sent here.
- ``visiting``: whoever has an endpoint's turn sends what is due there, in threads (``rounds``), so
  that no endpoint waits for another one.
- ``schedule``: when a message is tried again, and when an endpoint is given up.

Killed at any moment it loses nothing: what was sent and not recorded is sent again.
"""

from __future__ import annotations
