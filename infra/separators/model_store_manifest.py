"""``models.json``: which models a store offers, of what files, at what price. Read strictly.

A list of entries, for example::

    [{"name": "vocals-hq", "title": "Vocals, high quality", "architecture": "mel_band_roformer",
      "stems": ["vocals", "instrumental"], "credits_per_second": "4", "gpu": true,
      "files": [{"name": "vocals.ckpt", "sha256": "5f...", "bytes": 913096801},
                {"name": "vocals.yaml", "sha256": "09...", "bytes": 1780}],
      "config": "vocals.yaml", "licence": "MIT", "description": "..."}]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from domain.catalog import Model
from domain.errors import Invalid

MANIFEST = "models.json"
MAX_BYTES = 1 << 20
"""Of ``models.json``; whatever is larger is something else."""

Architecture = Literal["htdemucs", "bs_roformer", "mel_band_roformer"]
ROFORMERS = ("bs_roformer", "mel_band_roformer")
# Names stand in URLs and events, stems in the keys of objects.
_NAME = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
_WHAT = {
    _NAME: "lower-case letters, digits, '.', '_' and '-'",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits in lower case (`sha256sum` prints them)",
    r"^\d{1,6}(\.\d{1,4})?$": 'a decimal such as "1" or "1.5"',
}
_SHA256, _DECIMAL = list(_WHAT)[1:]


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """name: path within the store, with '/'; bytes: its size."""

    name: str
    sha256: Annotated[str, Meta(pattern=_SHA256)]
    bytes: Annotated[int, Meta(ge=1)]


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model. stems: in the order of delivery, the last one takes the remainder.

    credits_per_second: a decimal as text. config: names the one of ``files`` that configures a
    RoFormer (YAML or JSON, as published with the checkpoint). gpu: meant for workers with one.
    """

    name: Annotated[str, Meta(pattern=_NAME)]
    architecture: Architecture
    stems: Annotated[tuple[Annotated[str, Meta(pattern=_NAME)], ...], Meta(min_length=2)]
    files: Annotated[tuple[File, ...], Meta(min_length=1)]
    title: str = ""
    config: str = ""
    credits_per_second: Annotated[str, Meta(pattern=_DECIMAL)] = "1"
    description: str = ""
    gpu: bool = False
    licence: str = ""

    @property
    def model(self) -> Model:
        """What the catalogue says of it."""
        return Model(
            name=self.name,
            title=self.title or self.name,
            stems=self.stems,
            credits_per_second=self.credits_per_second,
            description=self.description,
            gpu=self.gpu,
            version=self.version,
        )

    @property
    def version(self) -> str:
        """Of the weights, their configuration and what their outputs are called."""
        parts = [self.architecture, *self.stems, *(file.sha256 for file in self.files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def checkpoints(self) -> tuple[File, ...]:
        """Its files but the configuration."""
        return tuple(file for file in self.files if file.name != self.config)


def decode(content: bytes, where: str, taken: Iterable[str] = ()) -> list[Entry]:
    """The entries of a manifest. where: its place, for people; taken: names of other models.

    Raises Invalid, naming the entry and the field.
    """
    try:
        raw = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise Invalid(f"{where} is not JSON ({error}). Correct it there.") from error
    if not isinstance(raw, list):
        raise Invalid(f"{where} is not a list of models; `splitsound models add` writes one.")
    entries = [
        entry_of(each, f"{where}, {_label(number, each)}") for number, each in enumerate(raw)
    ]
    _check_together(entries, where, frozenset(taken))
    return entries


def encode(entries: Sequence[Entry]) -> bytes:
    """The manifest's text."""
    return msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"


def _label(number: int, raw: Any) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return f"entry {number + 1}" + (f" ({name!r})" if isinstance(name, str) else "")


def entry_of(raw: Any, where: str) -> Entry:
    """An entry as JSON has it. where: begins the error. Raises Invalid."""
    try:
        entry = msgspec.convert(raw, Entry)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: {_told(str(error))}.") from error
    fault = _fault(entry)
    if fault:
        raise Invalid(f"{where}: {fault}.")
    return entry


def _told(error: str) -> str:
    """msgspec's words, the field first and patterns as people say them."""
    what, _, path = error.partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    for pattern, meaning in _WHAT.items():
        what = what.replace(f"matching regex {pattern!r}", f"of {meaning}")
    return f"{field}: {what}" if field else what


def _fault(entry: Entry) -> str:
    """What no type says; empty where all is well."""
    for number, file in enumerate(entry.files):
        if not _plain_path(file.name):
            return f"files[{number}].name: {file.name!r} is no path below the store"
    names = [file.name for file in entry.files]
    if twice := _repeated(names):
        return f"files: {twice!r} is listed twice"
    if twice := _repeated(entry.stems):
        return f"stems: {twice!r} is listed twice"
    if not float(entry.credits_per_second):
        return "credits_per_second: must be more than 0"
    if entry.config and entry.config not in names:
        return f"config: {entry.config!r} is not among its files, so nothing verifies it"
    if entry.architecture in ROFORMERS and not entry.config:
        return f"config: a {entry.architecture} needs the configuration published with it"
    if not entry.checkpoints:
        return "files: there is a configuration and no checkpoint"
    if entry.architecture in ROFORMERS and len(entry.checkpoints) > 1:
        return f"files: a {entry.architecture} has one checkpoint, not {len(entry.checkpoints)}"
    return ""


def _plain_path(name: str) -> bool:
    parts = name.split("/")
    return (
        name.isprintable()
        and not re.search(r"[\\:]", name)
        and all(part.strip() and part not in {".", ".."} for part in parts)
        and name != MANIFEST
        and len(name) <= 255
    )


def _check_together(entries: Sequence[Entry], where: str, taken: frozenset[str]) -> None:
    if twice := _repeated([entry.name for entry in entries]):
        raise Invalid(f"{where}: two entries have the name {twice!r}; rename one.")
    sums: dict[str, str] = {}
    for number, entry in enumerate(entries):
        label = f"{where}, entry {number + 1} ({entry.name!r})"
        if entry.name in taken:
            raise Invalid(f"{label}: name: a model of that name is built in; choose another.")
        for file in entry.files:
            if sums.setdefault(file.name, file.sha256) != file.sha256:
                raise Invalid(f"{label}: files: {file.name!r} has another sha256 in another entry.")


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for at, name in enumerate(names) if name in names[:at]), None)
