"""What a separation would cost this user now. Decides as RequestSeparation does; writes nothing."""

from __future__ import annotations

from msgspec import Struct

from commands.dispatch import Context
from commands.ledger import account_of, moment
from domain import asset, pricing
from domain.asset import ASSET
from domain.pricing import Offer


class Quote(Struct, frozen=True):
    """seconds: of audio; available: credits that the user could spend now."""

    asset_id: str
    offer: Offer
    seconds: float
    available: int

    @property
    def enough(self) -> bool:
        """Whether a job at this price would be accepted now."""
        return self.available >= self.offer.price


def quote(
    context: Context,
    user_id: str,
    asset_id: str,
    model: str,
    stems: tuple[str, ...],
    format_name: str,
) -> Quote:
    """Raises what RequestSeparation raises, except NotEnoughCredits."""
    source = context.store.load(ASSET, ASSET.stream(asset_id)).state
    audio = asset.separable(source, user_id)
    offer = pricing.offer(context.catalog, audio, model, stems, format_name)
    account = account_of(context, user_id)
    available = account.state.available(moment(context, account))
    return Quote(asset_id, offer, audio.seconds, available)
