"""Who sent how many requests lately: counted in the process, summed up in the operational table.

Windows are fixed: so many requests in each minute, say. Within a process the count is exact. Over
all processes it is approximate, and costs nothing for most people: what a process has counted of
somebody is written down only from a tenth of the limit on, once a second at most (one write
unit), and the same write tells what the others have counted. A table that does not answer refuses
nobody: each process then goes by its own count.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict

from msgspec import Struct

from commands.ports import Clock
from domain.errors import Invalid
from infra.operations.table import OperationalTable

SHARE_FROM = 10
"""What is shared begins at this fraction of a limit."""
MOST_COUNTED = 20_000
"""People and addresses that a process remembers; beyond, it forgets those it saw least lately."""


class Policy(Struct, frozen=True):
    """So many requests in so many seconds."""

    name: str
    most: int
    seconds: int


class Quota(Struct, frozen=True):
    """How it stands after a request. left: requests; reset: seconds until all are there again."""

    policy: Policy
    left: int
    reset: int
    exceeded: bool = False


class _Count(Struct):
    """Of one window. mine: counted here; sent: of those, how many are in the table's sum."""

    window: int
    mine: int = 0
    sent: int = 0
    others: int = 0


def policies(text: str) -> dict[str, Policy]:
    """Of ``name=requests/seconds`` by commas. Raises Invalid."""
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, rest = part.partition("=")
        most, _, seconds = rest.partition("/")
        if not (name.isidentifier() and _natural(most) and _natural(seconds)):
            raise Invalid(f"{part!r} is no limit; write name=requests/seconds, as in reads=600/60.")
        found[name] = Policy(name, int(most), int(seconds))
    return found


def _natural(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 10**9


class Rates:
    """secret: hides addresses in the table. Safe to share between threads."""

    def __init__(self, table: OperationalTable, clock: Clock, secret: bytes) -> None:
        self._table, self._clock, self._secret = table, clock, secret
        self._counts: OrderedDict[tuple[str, Policy], _Count] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, whom: str, policy: Policy) -> Quota:
        """One more request. An exceeded quota says that it is not to be served."""
        now = self._clock.now()
        length = 1000 * policy.seconds
        window = now // length
        reset = -(-((window + 1) * length - now) // 1000)
        with self._lock:
            count = self._counts.get((whom, policy))
            if count is None or count.window != window:
                count = self._counts[whom, policy] = _Count(window)
            self._counts.move_to_end((whom, policy))
            while len(self._counts) > MOST_COUNTED:
                self._counts.popitem(last=False)
            left = policy.most - count.mine - count.others
            if left <= 0:
                return Quota(policy, 0, reset, exceeded=True)
            count.mine += 1
            return Quota(policy, left - 1, reset)

    def whom(self, address: str) -> str:
        """Whom to count requests without a user for: an IPv4 address, or an IPv6 network."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            pass  # a socket that has no address
        else:
            if ip.version == 6:
                address = str(ipaddress.ip_network((ip, 64), strict=False))
        return hmac.new(self._secret, address.encode(), hashlib.sha256).hexdigest()[:32]

    def share(self) -> int:
        """Write down what was counted since, hear of the others; how many writes it took.

        Raises Unavailable; then it is written down the next time.
        """
        with self._lock:
            due = [
                (whom, policy, count, count.mine)
                for (whom, policy), count in self._counts.items()
                if count.mine > count.sent and count.mine * SHARE_FROM >= policy.most
            ]
        now = self._clock.now()
        writes = 0
        for whom, policy, count, mine in due:
            ends = (count.window + 1) * policy.seconds
            if ends * 1000 <= now:
                continue
            place = f"rate#{whom}", f"{policy.name}#{count.window}"
            # Were it written and the answer lost, it is counted twice: at most a second's worth.
            total = self._table.add(*place, mine - count.sent, ends + policy.seconds)
            with self._lock:
                count.sent, count.others = mine, total - mine
            writes += 1
        return writes


def forget(table: OperationalTable, user_id: str) -> None:
    """Delete what was counted of a person. Raises Unavailable; again is harmless."""
    table.delete_all(f"rate#{user_id}")
