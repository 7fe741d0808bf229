"""Hosted models: separation by predictions of Replicate's HTTP API, paid by the second.

``sources`` lists what the operator offers, see ``offers`` for the setting. A separator sends the
song as a FLAC, has one prediction made, and brings its files to the song's rate, channels and
length. Whatever happens, no prediction that it started goes on running once it is over.

Importing this package imports neither numpy nor httpx: the API lists models from it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from infra.separators import Separator, Source
from infra.separators.replicate import base as api_base
from infra.separators.replicate.offers import Offer, parse

Publish = Callable[[Path], AbstractContextManager[str]]
"""Puts a file where the provider can fetch it, for as long as the context is open: its URL.

Each time another one: by it a prediction is recognised as ours, see ``lifecycle``.
"""


class Memory(Protocol):
    """Which prediction was made for what, so that a worker that crashed does not pay twice.

    The key is a digest of the model's version, its inputs, the song and the prompt. Two jobs
    with one memory and one song share a prediction across processes, and when the first is
    cancelled the second has to start anew: a memory per user or per job keeps them apart.
    """

    def get(self, key: str) -> str | None:
        """The prediction's id, if one was made lately."""

    def put(self, key: str, prediction_id: str) -> None:
        """Remember it for an hour or more; Replicate deletes its files after one."""


def sources(
    token: str,
    base: str,
    models_json: str,
    publish: Publish | None,
    work: Path | None,
    memory: Memory | None = None,
) -> list[Source]:
    """What the operator offers; nothing without a token.

    base: the API's address, Replicate's where it is empty. models_json: see ``offers.parse``.
    publish: None where no provider can fetch from our bucket; songs then go through Replicate's
    own files API. work: where songs in progress are kept, else the system's place for that.
    Raises Invalid naming the setting, and the place in it, that is wrong.
    """
    offered, where = parse(models_json), api_base.checked(base)
    if not token:
        return []

    def built(offer: Offer) -> Source:
        # A closure and no partial: the repr of a Source must not show the token.
        return Source(offer.model, lambda: _build(offer, token, where, publish, work, memory))

    return [built(offer) for offer in offered]


def _build(
    offer: Offer,
    token: str,
    base: str,
    publish: Publish | None,
    work: Path | None,
    memory: Memory | None,
) -> Separator:
    from infra.separators.replicate.separator import Hosted

    return Hosted(offer, token, base, publish, work, memory)
