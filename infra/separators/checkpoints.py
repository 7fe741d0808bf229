"""The models of the operator's own store: public checkpoints, verified and loaded here.

The API reads the manifest only, so this module imports no torch until a model is built.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from domain.errors import Invalid, ModelError
from infra.separators import Separator, Source, speech, spleeter
from infra.separators.model_store import Store, missing, open_store
from infra.separators.model_store_manifest import MANIFEST, Entry, decode


def sources(location: str, cache: Path | None, s3: Callable[[], Any]) -> list[Source]:
    """What the store at ``location`` offers, in its order; nothing where that is empty.

    location: a directory or ``s3://bucket/prefix``. cache: where S3's files are copied to.
    s3: makes a boto3 client. Reads ``models.json`` and no checkpoint. Raises Invalid where that
    is missing or broken; Unavailable where S3 does not answer.
    """
    if not location:
        return []
    store = open_store(location, cache, s3)
    return [_source(store, entry) for entry in entries(store)]


def entries(store: Store) -> list[Entry]:
    """What its manifest lists. Raises Invalid, Unavailable."""
    return decode(store.manifest(), f"{store.where}/{MANIFEST}", built_in())


def built_in() -> list[str]:
    """Names that no entry may have."""
    return [source.model.name for source in (*spleeter.sources(), *speech.sources())]


def load(store: Store, entry: Entry) -> Separator:
    """The model in memory. Raises ModelError ``model_unavailable``."""
    paths = {file.name: store.fetch(file) for file in entry.files}
    try:
        if entry.architecture == "htdemucs":
            from infra.separators import htdemucs

            return htdemucs.build(entry.model, list(paths.values()))
        from infra.separators import roformer

        checkpoint = paths[entry.checkpoints[0].name]
        return roformer.build(entry.model, entry.architecture, checkpoint, paths[entry.config])
    except ModelError:
        raise
    except ImportError as error:
        what = f"{entry.name} needs a package that is not installed ({error}); it lies"
        raise missing(store.where, what, "Run `make install`.") from error
    except (Invalid, OSError) as error:
        what = f"The files of {entry.name} are not the model that they are said to be ({error})"
        todo = "Correct its architecture, stems or configuration, or take another checkpoint."
        raise missing(store.where, what, todo) from error


def _source(store: Store, entry: Entry) -> Source:
    return Source(entry.model, lambda: load(store, entry))
