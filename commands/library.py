"""Commands on what stands in the library: names and tags, deleting, having back, the end.

Names and tags are sealed for the place where they come to stand, so that they are readable only
while the person's key is there.
"""

from __future__ import annotations

import msgspec

from commands.dispatch import Command, Context, Position, handles
from commands.separations import load_job
from domain import asset, filenames, job, removing
from domain.asset import ASSET, AssetState
from domain.commit import Append, Loaded, Meta
from domain.retention import DAY, over
from domain.sealed import Sealed
from domain.tags import normalised


class RenameAsset(Command, frozen=True):
    """Call an upload something else."""

    user_id: str
    asset_id: str
    name: str


class TagAsset(Command, frozen=True):
    """The tags that an upload has from now on, see ``domain.tags``."""

    user_id: str
    asset_id: str
    tags: tuple[str, ...]


class DeleteAsset(Command, frozen=True):
    """An upload and all that was made of it are to go. Its open jobs go on."""

    user_id: str
    asset_id: str


class RestoreAsset(Command, frozen=True):
    """Have a deleted upload back."""

    user_id: str
    asset_id: str


class PurgeAsset(Command, frozen=True):
    """The janitor's word, once the media are deleted. removed: objects."""

    asset_id: str
    removed: int


class DeleteJob(Command, frozen=True):
    """What a job gave is to go."""

    user_id: str
    job_id: str


class RestoreJob(Command, frozen=True):
    """Have what a job gave back."""

    user_id: str
    job_id: str


class PurgeJob(Command, frozen=True):
    """The janitor's word, once the media are deleted. removed: objects."""

    job_id: str
    removed: int


@handles(RenameAsset)
def rename_asset(context: Context, command: RenameAsset, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid, NotFound, AssetGone."""
    name = filenames.clean(command.name, "name")
    loaded = _own(context, command.asset_id, command.user_id)
    asset.here(loaded.state)
    renamed = sealed_here(context, loaded, command.user_id, "name", name)
    return context.commit(meta, Append(loaded, asset.rename(loaded.state, renamed)))


@handles(TagAsset)
def tag_asset(context: Context, command: TagAsset, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid, NotFound, AssetGone."""
    wanted = normalised(command.tags)
    loaded = _own(context, command.asset_id, command.user_id)
    asset.here(loaded.state)
    text = msgspec.json.encode(wanted).decode()
    tags = sealed_here(context, loaded, command.user_id, "tags", text) if wanted else None
    return context.commit(meta, Append(loaded, asset.tag(loaded.state, tags)))


@handles(DeleteAsset)
def delete_asset(context: Context, command: DeleteAsset, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, or Refused while it is being uploaded."""
    loaded = _own(context, command.asset_id, command.user_id)
    return context.commit(meta, Append(loaded, asset.delete(loaded.state, _until(context))))


@handles(RestoreAsset)
def restore_asset(context: Context, command: RestoreAsset, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, or AssetGone once the time is over."""
    loaded = _own(context, command.asset_id, command.user_id)
    events = asset.restore(loaded.state, context.clock.now())
    return context.commit(meta, Append(loaded, events))


@handles(PurgeAsset)
def purge_asset(context: Context, command: PurgeAsset, meta: Meta) -> tuple[Position, ...]:
    """Once. Raises Refused before its time."""
    loaded = context.store.load(ASSET, ASSET.stream(command.asset_id))
    events = asset.purge(loaded.state, context.clock.now(), command.removed)
    return context.commit(meta, Append(loaded, events))


@handles(DeleteJob)
def delete_job(context: Context, command: DeleteJob, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, or Refused while it is open."""
    loaded = load_job(context, command.job_id)
    state = job.owned(loaded.state, command.user_id)
    return context.commit(meta, Append(loaded, removing.delete(state, _until(context))))


@handles(RestoreJob)
def restore_job(context: Context, command: RestoreJob, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, or Refused once the time is over."""
    loaded = load_job(context, command.job_id)
    state = job.owned(loaded.state, command.user_id)
    return context.commit(meta, Append(loaded, removing.restore(state, context.clock.now())))


@handles(PurgeJob)
def purge_job(context: Context, command: PurgeJob, meta: Meta) -> tuple[Position, ...]:
    """Once. Raises Refused before its time and its upload's, or while it is open."""
    loaded, now = load_job(context, command.job_id), context.clock.now()
    source = context.store.load(ASSET, ASSET.stream(loaded.state.asked.asset_id)).state
    asset_over = over(source.deleted_until, now)
    events = removing.purge(loaded.state, now, command.removed, asset_over=asset_over)
    return context.commit(meta, Append(loaded, events))


def sealed_here(
    context: Context, loaded: Loaded[AssetState], user_id: str, field: str, text: str
) -> Sealed:
    """Text for the first event that is appended to the upload's stream now."""
    version = loaded.version + 1
    place = (loaded.tip.stream, version, field)
    return Sealed(context.sealer.seal(user_id, place, text), version, field)


def _until(context: Context) -> int:
    return context.clock.now() + context.retention.deleted * DAY


def _own(context: Context, asset_id: str, user_id: str) -> Loaded[AssetState]:
    loaded = context.store.load(ASSET, ASSET.stream(asset_id))
    asset.owned(loaded.state, user_id)
    return loaded
