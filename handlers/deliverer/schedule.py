"""When a message is tried again, when an endpoint is left in peace, and when it is given up. Pure.

A message has ten attempts over about three days. Beside that an endpoint that keeps failing rests
between attempts, whatever waits for it: a dead one must not use up what others need.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct
from msgspec.structs import replace

from infra.operations.deliveries import DELIVERED, FAILED, PENDING, Attempt, Delivery
from infra.operations.turns import Turn
from infra.webhooks import Answer

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
DELAYS = (
    5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE,
    2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""Between attempts, in ms; see https://www.standardwebhooks.com, operational considerations."""
JITTER = 0.2
"""Each is longer by up to that share, so that what failed together is not tried together."""
SPAN_MS = round(sum(DELAYS) * (1 + JITTER))
MOST_WAIT_MS = 24 * _HOUR
"""As long as a receiver may ask for by ``Retry-After``."""
GIVE_UP_MS, GIVE_UP_AFTER = 72 * _HOUR, len(DELAYS) + 1
"""An endpoint is disabled when it has failed for so long, and so often, without one success."""
KEPT_ATTEMPTS = 20
_GONE = 410
_OVERLOADED = (429, 503)
_MOST_REST_MS = 5 * _MINUTE


class Outcome(Struct, frozen=True):
    """What an answer means. delivery, turn: as they are from now on; gone: the receiver wants
    nothing ever again; failing: it is given up.
    """

    delivery: Delivery
    turn: Turn
    gone: bool = False
    failing: bool = False


def outcome(
    delivery: Delivery, turn: Turn, answer: Answer, began: int, now: int, chance: float
) -> Outcome:
    """began, now: of the attempt, epoch ms; chance: 0..1."""
    attempt = Attempt(began, answer.milliseconds, answer.status, answer.error, answer.excerpt)
    tried = replace(
        delivery,
        tries=delivery.tries + 1,
        attempts=(*delivery.attempts, attempt)[-KEPT_ATTEMPTS:],
    )
    if answer.accepted:
        done = replace(tried, status=DELIVERED, due=None)
        return Outcome(done, replace(turn, failures=0, failing_since=0, rest_until=0))
    asked = retry_after(answer.retry_after, now)
    ill = _ill(turn, asked if answer.status in _OVERLOADED else 0, now)
    gone = answer.status == _GONE
    if gone or tried.tries > len(DELAYS):
        after = replace(tried, status=FAILED, due=None)
    else:
        wait = round(DELAYS[tried.tries - 1] * (1 + JITTER * chance))
        after = replace(tried, status=PENDING, due=now + max(wait, asked))
    return Outcome(after, ill, gone, not gone and is_given_up(ill, now))


def _ill(turn: Turn, asked: int, now: int) -> Turn:
    failures = turn.failures + 1
    # One message that fails again is no reason to rest; several in a row are.
    rest = min(_SECOND << min(failures - 3, 20), _MOST_REST_MS) if failures >= 3 else 0
    return replace(
        turn,
        failures=failures,
        failing_since=turn.failing_since or now,
        rest_until=now + max(rest, asked),
    )


def is_given_up(turn: Turn, now: int) -> bool:
    """Whether an endpoint has failed for days."""
    return turn.failures >= GIVE_UP_AFTER and now - turn.failing_since >= GIVE_UP_MS


def retry_after(header: str, now: int) -> int:
    """The wait in ms that a receiver asks for (RFC 9110, 10.2.3): seconds or a date; 0 for none.

    now: epoch ms.
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * _SECOND, MOST_WAIT_MS)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0
    moment = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0, min(int(moment.timestamp() * 1000) - now, MOST_WAIT_MS))
