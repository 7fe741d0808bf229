"""The janitor's commands on the streams of a person who is being forgotten; see ``EraseUser``."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from commands.separations import end_releasing, load_job
from domain import erasing
from domain.asset import ASSET
from domain.commit import Append, Meta
from domain.erased import Erased
from domain.purchase import PURCHASE


class EraseJob(Command, frozen=True):
    """An open one is cancelled and its credits are released."""

    user_id: str
    job_id: str


class EraseAsset(Command, frozen=True):
    """An upload under way is given up."""

    user_id: str
    asset_id: str


class ErasePurchase(Command, frozen=True):
    """Nobody is shown it any more."""

    user_id: str
    purchase_id: str


class EraseAccount(Command, frozen=True):
    """What is left is forfeited. After the person's jobs."""

    user_id: str


@handles(EraseJob)
def erase_job(context: Context, command: EraseJob, meta: Meta) -> tuple[Position, ...]:
    """Once. Raises NotFound."""
    loaded = load_job(context, command.job_id)
    events = erasing.erase_job(loaded.state, command.user_id)
    return end_releasing(context, command.job_id, loaded, events, erasing.REASON, meta)


@handles(EraseAsset)
def erase_asset(context: Context, command: EraseAsset, meta: Meta) -> tuple[Position, ...]:
    """Once. Raises NotFound."""
    loaded = context.store.load(ASSET, ASSET.stream(command.asset_id))
    events = erasing.erase_asset(loaded.state, command.user_id)
    return context.commit(meta, Append(loaded, events))


@handles(ErasePurchase)
def erase_purchase(context: Context, command: ErasePurchase, meta: Meta) -> tuple[Position, ...]:
    """Once. Raises NotFound."""
    loaded = context.store.load(PURCHASE, PURCHASE.stream(command.purchase_id))
    events = erasing.erase_purchase(loaded.state, command.user_id)
    said = (Erased.event_name() in c.types for c in context.store.newest_first(loaded.tip.stream))
    return context.commit(meta, Append(loaded, [] if any(said) else events))


@handles(EraseAccount)
def erase_account(context: Context, command: EraseAccount, meta: Meta) -> tuple[Position, ...]:
    """Once until something is granted again. Raises Refused while jobs hold credits."""
    account = account_of(context, command.user_id)
    events = erasing.erase_account(account.state, moment(context, account))
    return context.commit(meta, Append(account, events))
