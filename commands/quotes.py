"""What a separation would cost this user now. Decides as RequestSeparation does; writes nothing."""

from __future__ import annotations

from msgspec import Struct

from commands.dispatch import Context
from commands.ledger import account_of, moment
from commands.separations import Wish, asked_for, earlier_result
from domain.job import SeparationCompleted, SeparationRequested


class Quote(Struct, frozen=True):
    """price, available: credits; reused_from: the job whose stems would be given again."""

    asked: SeparationRequested
    price: int
    available: int
    reused_from: str | None = None

    @property
    def seconds(self) -> float:
        """Of audio."""
        return self.asked.samples / self.asked.rate

    @property
    def enough(self) -> bool:
        """Whether a job at this price would be accepted now."""
        return self.available >= self.price


def quote(context: Context, user_id: str, wish: Wish) -> Quote:
    """Raises what RequestSeparation raises, except NotEnoughCredits and Paused."""
    asked = asked_for(context, user_id, wish)
    made = earlier_result(context, asked) if wish.reuse else []
    account = account_of(context, user_id)
    available = account.state.available(moment(context, account))
    for event in made:
        if isinstance(event, SeparationCompleted):
            return Quote(asked, 0, available, event.reused_from)
    return Quote(asked, asked.price, available)
