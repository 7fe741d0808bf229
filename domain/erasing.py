"""Forgetting a person, stream by stream. The person's own stream says ``UserErased`` before."""

from __future__ import annotations

from domain import asset, job
from domain.aggregate import Event
from domain.asset import AssetState
from domain.credits import CreditsExpired, CreditState, expire
from domain.erased import Erased
from domain.errors import NotFound, Refused
from domain.job import JobState
from domain.purchase import PurchaseState

REASON = "the account was erased"


def erase_job(state: JobState, user_id: str) -> list[Event]:
    """An open job is cancelled. Once for each job. Raises NotFound where it is not the user's."""
    if state.asked.user_id != user_id:
        raise NotFound("No such job.")
    if state.erased:
        return []
    return [*job.cancel(state, REASON), Erased(user_id)]


def erase_asset(state: AssetState, user_id: str) -> list[Event]:
    """An upload under way is given up. Once for each upload. Raises NotFound, as ``erase_job``."""
    if state.user_id != user_id:
        raise NotFound("No such upload.")
    if state.erased:
        return []
    given_up = asset.abort(state, REASON) if state.status == asset.UPLOADING else []
    return [*given_up, Erased(user_id)]


def erase_purchase(state: PurchaseState, user_id: str) -> list[Event]:
    """What the payment provider tells later still counts. Raises NotFound, as ``erase_job``."""
    if state.opened is None or state.opened.user_id != user_id:
        raise NotFound("No such purchase.")
    return [Erased(user_id)]


def erase_account(state: CreditState, now: int) -> list[Event]:
    """What is left is forfeited, and expires before its time: of what was bought a refund can
    still come, and then nobody owes what he never used. A debt stays.

    Nothing where nothing has happened since the last time. Raises Refused while jobs hold credits.
    """
    if state.reservations:
        raise Refused("Jobs hold credits of this account; erase them first.")
    if _begins_anew(state):
        return []
    over = expire(state, now)
    forfeited = [
        CreditsExpired(state.user_id, grant_id, grant.left, REASON)
        for grant_id, grant in state.grants.items()
        if grant.left and not grant.is_over(now)
    ]
    return [*over, *forfeited, Erased(state.user_id)]


def _begins_anew(state: CreditState) -> bool:
    """Whether it is as ``Erased`` leaves it, or nobody's yet."""
    past = sum(state.lapsed.values())
    totals = (state.grants_made, state.captured, state.granted, state.expired, state.revoked)
    return totals == (0, 0, past, past, state.debt)
