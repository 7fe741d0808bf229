"""The configurations that are published with RoFormer checkpoints, read as they are.

Their format is that of Music-Source-Separation-Training (https://github.com/ZFTurbo): the
sections ``model`` (the network's arguments), ``audio``, ``training`` (which instruments) and
``inference`` (how chunks overlap). Tuples carry YAML's Python tag; nothing else of Python's is
obeyed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from domain.errors import Invalid

_MAX_BYTES = 1 << 20


class _Audio(Struct, frozen=True):
    chunk_size: int
    sample_rate: int = 44_100


class _Training(Struct, frozen=True):
    instruments: tuple[str, ...]
    target_instrument: str | None = None
    use_amp: bool = True


class _Inference(Struct, frozen=True):
    num_overlap: int = 2
    chunk_size: int | None = None


class _Published(Struct, frozen=True):
    model: dict[str, Any]
    audio: _Audio
    training: _Training
    inference: _Inference = _Inference()


class Config(Struct, frozen=True):
    """network: its arguments. chunk, step: samples; half: whether 16 bits are precise enough.

    instruments: all that were trained on; estimated: those that the network gives, in its order.
    """

    network: dict[str, Any]
    instruments: tuple[str, ...]
    estimated: tuple[str, ...]
    chunk: int
    step: int
    sample_rate: int
    half: bool

    def places(self, stems: tuple[str, ...]) -> tuple[int, ...]:
        """For each stem but the last, which takes the remainder, its place in the estimates.

        A network with a single target may have its stem called otherwise. Raises Invalid.
        """
        wanted = [stem.casefold() for stem in stems[:-1]]
        given = [name.casefold() for name in self.estimated]
        if set(wanted) <= set(given):
            return tuple(given.index(stem) for stem in wanted)
        others = {name.casefold() for name in self.instruments} - set(given)
        if len(wanted) == len(given) == 1 and wanted[0] not in others:
            return (0,)
        raise Invalid(
            f"the network estimates {', '.join(self.estimated)}, and its stems are to be "
            f"{', '.join(stems)}: name the estimated ones first, and last what remains"
        )


def read(path: Path) -> Config:
    """The configuration in a file. Raises Invalid."""
    try:
        found = msgspec.convert(_parsed(path), _Published)
    except msgspec.ValidationError as error:
        raise Invalid(f"its configuration lacks something: {error}") from error
    chunk = found.inference.chunk_size or found.audio.chunk_size
    overlap, rate = found.inference.num_overlap, found.audio.sample_rate
    training = found.training
    if not (0 < overlap <= chunk and 8000 <= rate <= 192_000 and chunk <= 120 * rate):
        raise Invalid(
            f"its configuration has chunks of {chunk} samples at {rate} Hz, {overlap} of them "
            "over each sample: that cannot be run"
        )
    if not found.model.get("stereo"):
        raise Invalid("its network is mono; only stereo ones are run here")
    target = training.target_instrument
    estimated = (target,) if target else training.instruments
    if found.model.get("num_stems", 1) != len(estimated):
        raise Invalid(f"its configuration has other num_stems than {', '.join(estimated)}")
    return Config(
        found.model, training.instruments, estimated, chunk, chunk // overlap, rate,
        training.use_amp,
    )  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Plain data, and tuples."""


def _tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> tuple[Any, ...]:
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def _parsed(path: Path) -> Any:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise Invalid("its configuration is larger than a megabyte: that is something else")
    try:
        if path.suffix == ".json":
            return json.loads(content)
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise Invalid(f"its configuration is neither YAML nor JSON: {told}") from error
