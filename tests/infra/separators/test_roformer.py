"""RoFormers from checkpoints as they are published: streamed, equal to the whole song at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from domain.audio import Cancelled
from domain.errors import Invalid, ModelError
from infra.separators import Separator, roformer
from infra.separators.roformer.core import RoFormerRun
from infra.separators.roformer.network import Network
from infra.separators.streaming import Streamed
from tests.infra.separators.roformers import (
    CHUNK,
    configuration,
    demix,
    described,
    network,
    weights,
    write_config,
)
from tests.infra.separators.songs import noise, stems_of
from tests.metrics import energy_db

RATE = 44_100
ARCHITECTURES = ("bs_roformer", "mel_band_roformer")
FOUR = ("drums", "bass", "other", "vocals")


def built(folder: Path, architecture: Any, stems: tuple[str, ...], **config: Any) -> Separator:
    """A separator from files that are written for it."""
    path = write_config(folder / "own.yaml", configuration(architecture, **config))
    checkpoint = folder / "own.ckpt"
    torch.save({"state_dict": weights(network(architecture, path))}, checkpoint)
    return roformer.build(described(*stems), architecture, checkpoint, path)


def inner(separator: Separator) -> Network:
    """The network of a separator that streams."""
    assert isinstance(separator, Streamed)
    found: Network = separator._core._network  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("samples", "overlap"),
    [(5 * CHUNK + 123, 2), (5 * CHUNK + 123, 4), (CHUNK, 2), (CHUNK + 1, 2), (700, 4),
     (6 * CHUNK, 2), (2 * CHUNK - 1, 3), (1, 2)],
)  # fmt: skip
def test_a_stream_gives_what_the_whole_song_gives(
    tmp_path: Path, architecture: str, samples: int, overlap: int
) -> None:
    separator = built(tmp_path, architecture, ("vocals", "rest"), overlap=overlap)
    song = noise(samples)
    whole = demix(
        network(architecture, tmp_path / "own.yaml"), torch.from_numpy(song), CHUNK, overlap
    )
    for sizes in ((1000, 33), (CHUNK * 2,)):
        vocals = stems_of(separator, song, RATE, *sizes)["vocals"]
        assert energy_db(vocals - whole[0].numpy()) < energy_db(vocals) - 100
    assert energy_db(song) - 60 < energy_db(vocals)  # there was something to compare


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_several_stems_are_found_by_their_names(tmp_path: Path, architecture: str) -> None:
    stems = ("vocals", "bass", "drums", "other")
    separator = built(tmp_path, architecture, stems, instruments=FOUR, target=None)
    song = noise(3 * CHUNK)
    whole = demix(network(architecture, tmp_path / "own.yaml"), torch.from_numpy(song), CHUNK, 2)
    found = stems_of(separator, song, RATE)
    for stem in stems[:-1]:
        difference = found[stem] - whole[FOUR.index(stem)].numpy()
        assert energy_db(difference) < energy_db(found[stem]) - 100
    assert inner(separator).stems == 3  # the remainder is not computed


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_batches_make_no_difference(tmp_path: Path, batch: int) -> None:
    separator = built(tmp_path, "bs_roformer", ("vocals", "rest"))
    song = noise(9 * CHUNK + 5)
    single = stems_of(separator, song, RATE)["vocals"]
    inner(separator).batch = batch
    batched = stems_of(separator, song, RATE, 4000)["vocals"]
    assert energy_db(single - batched) < energy_db(single) - 100


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (22_050, 2)])
def test_other_rates_and_mono_add_up(tmp_path: Path, rate: int, channels: int) -> None:
    separator = built(tmp_path, "mel_band_roformer", ("vocals", "rest"))
    stems_of(separator, noise(rate, channels), rate)


def save_plain(tensors: dict[str, Tensor], path: Path) -> Path:
    torch.save(tensors, path)
    return path


def save_wrapped(tensors: dict[str, Tensor], path: Path) -> Path:
    torch.save({"state": tensors, "epoch": 3}, path)
    return path


def save_legacy(tensors: dict[str, Tensor], path: Path) -> Path:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


def save_half_safely(tensors: dict[str, Tensor], path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize("save", [save_plain, save_wrapped, save_legacy, save_half_safely])
def test_checkpoints_come_in_several_wrappings(
    tmp_path: Path, save: Callable[[dict[str, Tensor], Path], Path]
) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(configuration("bs_roformer")))
    yaml = write_config(tmp_path / "own.yaml", configuration("bs_roformer"))
    checkpoint = save(weights(network("bs_roformer", yaml)), tmp_path / "own.ckpt")
    song, found = noise(CHUNK), []
    for config in (path, yaml):
        separator = roformer.build(described("vocals", "rest"), "bs_roformer", checkpoint, config)
        found.append(stems_of(separator, song, RATE)["vocals"])
    assert np.array_equal(found[0], found[1])


class Anything:
    """Code that a checkpoint would run."""

    def __reduce__(self) -> Any:
        return (Path("/tmp/splitsound-was-here").touch, ())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"weights": Anything()}, "holds more than tensors"),
        ({"epoch": 3}, "holds no tensors by name"),
        ([torch.zeros(1)], "holds no tensors by name"),
        ({"x": torch.zeros(1)}, r"tensors are missing, such as layers.* 1 are unknown, such as x"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, told: str) -> None:
    config = write_config(tmp_path / "own.yaml", configuration("bs_roformer"))
    torch.save(content, tmp_path / "own.ckpt")
    with pytest.raises(Invalid, match=told):
        roformer.build(described("a", "b"), "bs_roformer", tmp_path / "own.ckpt", config)
    assert not Path("/tmp/splitsound-was-here").exists()


@pytest.mark.parametrize("name", ["own.ckpt", "own.safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing else", b"\x80\x02}q\x00."])
def test_broken_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    config = write_config(tmp_path / "own.yaml", configuration("bs_roformer"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=r"the checkpoint"):
        roformer.build(described("a", "b"), "bs_roformer", tmp_path / name, config)


def test_a_wrong_architecture_is_found_at_loading(tmp_path: Path) -> None:
    path = write_config(tmp_path / "own.yaml", configuration("bs_roformer"))
    checkpoint = save_plain(weights(network("bs_roformer", path)), tmp_path / "own.ckpt")
    with pytest.raises(Invalid, match="not that of a mel_band_roformer: unexpected"):
        roformer.build(described("vocals", "rest"), "mel_band_roformer", checkpoint, path)
    write_config(path, configuration("bs_roformer", dim=32))
    with pytest.raises(Invalid, match=r"have another shape, such as layers"):
        roformer.build(described("vocals", "rest"), "bs_roformer", checkpoint, path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"audio": {}}, "chunk_size"),
        ({"model": {"dim": 16}}, "is mono"),
        ({"training": {"instruments": ["a"]}, "model": {"stereo": True, "num_stems": 2}}, "num_st"),
        ({"inference": {"num_overlap": 0}}, "cannot be run"),
        ({"inference": {"chunk_size": 10**9}}, "cannot be run"),
        ({"audio": {"chunk_size": 9, "sample_rate": 1}}, "cannot be run"),
    ],
)
def test_configurations_that_cannot_be_run(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    path = write_config(tmp_path / "own.yaml", configuration("bs_roformer") | changed)
    with pytest.raises(Invalid, match=told):
        roformer.build(described("vocals", "rest"), "bs_roformer", tmp_path / "none", path)


@pytest.mark.parametrize(
    "content",
    [b"a: [", b"\xff\xfe\x00", b"model: !!python/object/apply:os.getcwd []", b"- 1", b"",
     b"a: " + b"[" * 5000, b"#" * 1_100_000],
)  # fmt: skip
@pytest.mark.parametrize("name", ["own.yaml", "own.json"])
def test_what_is_no_configuration(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match="its configuration"):
        roformer.build(described("a", "b"), "bs_roformer", tmp_path / "none", tmp_path / name)


@pytest.mark.parametrize(
    ("stems", "target", "fits"),
    [
        (("vocals", "instrumental"), "vocals", True),
        (("acapella", "rest"), "vocals", True),
        (("Instrumental", "vocals"), "other", True),
        (("vocals", "instrumental"), "other", False),  # would be called the wrong way round
        (("vocals", "drums", "rest"), "vocals", False),
        (("drums", "bass", "rest"), None, True),
        (("vocals", "rest"), None, True),
        (("vocals", "guitar", "rest"), None, False),
    ],
)
def test_stems_are_what_the_network_estimates(
    tmp_path: Path, stems: tuple[str, ...], target: str | None, *, fits: bool
) -> None:
    instruments = ("vocals", "other") if target else FOUR
    if fits:
        built(tmp_path, "bs_roformer", stems, instruments=instruments, target=target)
        return
    with pytest.raises(Invalid, match="name the estimated ones first"):
        built(tmp_path, "bs_roformer", stems, instruments=instruments, target=target)


class Stubborn(torch.nn.Module):
    """Has memory for so many chunks at a time, and gives what it is told to."""

    def __init__(self, room: int, gives: float = 1.0) -> None:
        super().__init__()
        self.room, self.gives, self.asked = room, gives, list[int]()

    def forward(self, chunks: Tensor) -> Tensor:
        self.asked.append(len(chunks))
        if len(chunks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return chunks * self.gives


def at_once(module: torch.nn.Module, batch: int) -> Network:
    made = Network(module, 1, torch.device("cpu"), half=True)
    made.batch = batch
    return made


def test_what_does_not_fit_is_tried_in_smaller_batches() -> None:
    module = Stubborn(room=2)
    small = at_once(module, 8)
    chunks = torch.rand(10, 2, 100)
    assert torch.equal(small.estimate(chunks, lambda: False)[:, 0], chunks)
    assert module.asked == [8, 4, 2, 2, 2, 2, 2]
    assert small.batch == 2


def test_one_chunk_that_does_not_fit_ends_the_job_clearly() -> None:
    with pytest.raises(ModelError, match="does not fit the memory") as failed:
        at_once(Stubborn(room=0), 4).estimate(torch.rand(4, 2, 100), lambda: False)
    assert failed.value.code == "model_out_of_memory"
    assert failed.value.transient


@pytest.mark.parametrize("gives", [np.nan, np.inf])
def test_what_is_no_number_ends_the_job_clearly(gives: float) -> None:
    with pytest.raises(ModelError, match="no numbers") as failed:
        at_once(Stubborn(9, gives), 1).estimate(torch.rand(1, 2, 100), lambda: False)
    assert failed.value.code == "model_failed"


def test_a_network_that_fails_ends_the_job_clearly() -> None:
    class Failing(torch.nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise RuntimeError("CUDA error: an illegal instruction")

    with pytest.raises(ModelError, match="illegal instruction") as failed:
        at_once(Failing(), 1).estimate(torch.rand(1, 2, 100), lambda: False)
    assert failed.value.code == "model_failed"


def test_cancelling_takes_effect_before_the_next_batch() -> None:
    module = Stubborn(room=9)
    answers = iter([False, False, True])
    with pytest.raises(Cancelled):
        at_once(module, 2).estimate(torch.rand(10, 2, 100), lambda: next(answers))
    assert module.asked == [2, 2]


def test_estimates_keep_up_with_the_song() -> None:
    run = RoFormerRun(at_once(Stubborn(room=9), 3), CHUNK, CHUNK // 4, lambda: False)
    given = 0
    for pushed in range(5000, 60 * CHUNK, 5000):
        given += run.push(noise(5000)).shape[2]
        assert pushed - given < 3.5 * CHUNK  # in memory, however long the song
    assert given + run.finish().shape[2] == pushed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_gpu_takes_several_chunks_in_half_precision(tmp_path: Path, architecture: str) -> None:
    separator = built(tmp_path, architecture, ("vocals", "rest"))
    assert inner(separator).batch > 1
    song = noise(9 * CHUNK)
    vocals = stems_of(separator, song, RATE)["vocals"]
    whole = demix(network(architecture, tmp_path / "own.yaml"), torch.from_numpy(song), CHUNK, 2)
    assert energy_db(vocals - whole[0].numpy()) < energy_db(vocals) - 40
