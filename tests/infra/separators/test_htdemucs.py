"""HTDemucs: checkpoints as they are published, and what demucs itself makes of the same song."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from demucs.apply import BagOfModels, apply_model
from demucs.demucs import Demucs
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray
from safetensors.torch import save_file

from domain.audio import Cancelled
from domain.catalog import Model
from domain.errors import ModelError
from infra.separators import Request, Separator
from infra.separators.htdemucs import build
from infra.separators.htdemucs.core import HTDemucs as Core
from infra.separators.htdemucs.core import Member
from infra.separators.htdemucs.network import supports
from infra.separators.htdemucs.package import Package

Block = NDArray[np.float32]

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")
RATE = 44_100
SEGMENT = 22_050


def network(sources: tuple[str, ...] = FOUR, seed: int = 0, **options: Any) -> Any:
    """A small HTDemucs with every layer at work: layer scales start at almost nothing."""
    torch.manual_seed(seed)
    chosen = {
        "channels": 8, "nfft": 2048, "bottom_channels": 32, "t_heads": 2, "dconv_comp": 4,
        "dconv_mode": 3, "t_layers": 3, "segment": Fraction(SEGMENT, RATE), **options,
    }  # fmt: skip
    model = HTDemucs(list(sources), **chosen)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("scale"):
                parameter.uniform_(0.1, 0.5)
            elif parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def pickled(model: Any, path: Path, **changes: Any) -> Path:
    """As ``demucs.states.serialize_model`` packs it, for what is in training_args."""
    args, kwargs = model._init_args_kwargs
    settings = {"epochs": 360, "lr": np.float64(3e-4), "weights": [1.0, 1.0]}
    package = {
        "klass": type(model), "args": args, "kwargs": kwargs, "state": model.state_dict(),
        "training_args": settings, **changes,
    }  # fmt: skip
    torch.save(package, path)
    return path


def safetensors(model: Any, path: Path, **changes: str) -> Path:
    """As demucs' ``tools/export_hf.py`` writes it and ``demucs.hf`` reads it."""

    def encoded(value: Any) -> Any:
        if isinstance(value, Fraction):
            number, over = value.numerator, value.denominator
            return {"_type": "fraction", "numerator": number, "denominator": over}
        return value

    args, kwargs = model._init_args_kwargs
    metadata = {
        "klass": f"{type(model).__module__}.{type(model).__qualname__}",
        "args": json.dumps(args),
        "kwargs": json.dumps({key: encoded(value) for key, value in kwargs.items()}),
    }
    save_file(model.state_dict(), path, {**metadata, **changes})
    return path


def offered(stems: tuple[str, ...]) -> Model:
    return Model(name="htdemucs", title="HTDemucs", stems=stems)


def song(samples: int, channels: int = 2, seed: int = 7) -> Block:
    """Loud and soft, with a direct current of its own."""
    noise = np.random.default_rng(seed).standard_normal((channels, samples))
    level = 0.1 + 0.08 * np.sin(np.arange(samples) / 9_000)
    return (noise * level).astype(np.float32)


def request(mix: Block, rate: int = RATE) -> Request:
    mono = mix.mean(0, dtype=np.float64)
    samples = mix.shape[1]
    deviation = float(mono.std(ddof=1)) if samples > 1 else 0.0
    mean = float(mono.mean()) if samples else 0.0
    return Request(rate, len(mix), samples, mean, deviation)


def separated(
    separator: Separator,
    mix: Block,
    rate: int = RATE,
    size: int = 7_000,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Block]:
    chunks = (mix[:, at : at + size] for at in range(0, mix.shape[1], size))
    blocks = separator.separate(chunks, request(mix, rate), lambda _: None, cancelled)
    parts: dict[str, list[Block]] = {stem: [] for stem in separator.capabilities.stems}
    for block in blocks:
        for stem, part in block.items():
            parts[stem].append(part)
    none = np.zeros((len(mix), 0), np.float32)
    return {stem: np.concatenate([none, *each], 1) for stem, each in parts.items()}


def by_demucs(model: Any, mix: Block) -> dict[str, Block]:
    """``demucs.api.Separator.separate_tensor`` without the mean that it adds to every source."""
    asked = request(mix)
    normal = (torch.from_numpy(mix) - asked.mean) / (asked.deviation + 1e-8)
    out = apply_model(model, normal[None], shifts=0, split=True, overlap=0.25)[0]
    return dict(zip(model.sources, (out * (asked.deviation + 1e-8)).numpy(), strict=True))


def distance(got: Block, wanted: Block) -> float:
    """dB of the difference over what was wanted."""
    energy = float(np.square(wanted, dtype=np.float64).sum())
    error = float(np.square(got - wanted, dtype=np.float64).sum())
    return 10 * math.log10(max(error, 1e-30) / max(energy, 1e-30))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Separator]:
    model = network()
    path = safetensors(model, tmp_path_factory.mktemp("four") / "small.safetensors")
    return model, build(offered(("vocals", "drums", "bass", "other")), [path])


@pytest.mark.parametrize("sources", [FOUR, SIX])
@pytest.mark.parametrize("write", [pickled, safetensors])
def test_it_is_demucs_from_either_kind_of_file(
    tmp_path: Path, write: Callable[..., Path], sources: tuple[str, ...]
) -> None:
    model = network(sources)
    suffix = "th" if write is pickled else "safetensors"
    stems = ("vocals", *(s for s in sources if s != "vocals"))
    separator = build(offered(stems), [write(model, tmp_path / f"x.{suffix}")])
    mix = song(3 * SEGMENT + 1_234)
    got, wanted = separated(separator, mix), by_demucs(model, mix)
    assert list(got) == list(stems)
    for stem in stems[:-1]:
        assert distance(got[stem], wanted[stem]) < -110
    np.testing.assert_allclose(sum(got.values()), mix, atol=1e-6)


def test_a_checkpoint_in_half_precision_computes_in_single(tmp_path: Path) -> None:
    model = network()
    state = {name: each.half() for name, each in model.state_dict().items()}
    path = pickled(model, tmp_path / "half.th", state=state)
    model.load_state_dict(state)
    mix = song(SEGMENT)
    got = separated(build(offered(FOUR), [path]), mix)
    assert distance(got["drums"], by_demucs(model, mix)["drums"]) < -110


LENGTHS = [
    1, 2, 1_000, SEGMENT - 1, SEGMENT, SEGMENT + 1, 16_537, 16_538, 2 * 16_537 + SEGMENT, 80_001
]  # fmt: skip


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("size", [777, 50_000])
def test_every_length_comes_out_as_demucs_makes_it(
    four: tuple[Any, Separator], samples: int, size: int
) -> None:
    model, separator = four
    mix = song(samples)
    got, wanted = separated(separator, mix, size=size), by_demucs(model, mix)
    assert all(part.shape == mix.shape for part in got.values())
    for stem in ("vocals", "drums", "bass"):
        assert distance(got[stem], wanted[stem]) < (-100 if samples > 2 else -70)


def test_a_song_without_samples_has_stems_without_samples(four: tuple[Any, Separator]) -> None:
    assert separated(four[1], song(0))["other"].shape == (2, 0)


def test_silence_stays_silence(four: tuple[Any, Separator]) -> None:
    for stem in separated(four[1], np.zeros((2, 60_000), np.float32)).values():
        assert not stem.any()


@pytest.mark.parametrize("what", ["tone", "gap", "clicks", "loud"])
def test_sound_that_is_hard_on_the_norms(four: tuple[Any, Separator], what: str) -> None:
    model, separator = four
    mix = song(60_000)
    if what == "tone":
        mix[:] = np.sin(np.arange(60_000) * 0.05)
    elif what == "gap":
        mix[:, 10_000:45_000] = 0
    elif what == "clicks":
        mix[:] = np.arange(60_000) % 9_000 == 0
    else:
        mix *= 100
    got, wanted = separated(separator, mix), by_demucs(model, mix)
    for stem in ("vocals", "drums", "bass"):
        assert distance(got[stem], wanted[stem]) < -100


def test_sound_without_a_mono_mix_is_separated(four: tuple[Any, Separator]) -> None:
    side = song(40_000, 1)
    mix = np.concatenate([side, -side])
    got = separated(four[1], mix)
    assert all(np.isfinite(part).all() for part in got.values())
    np.testing.assert_allclose(sum(got.values()), mix, atol=1e-5)


def test_direct_current_stays_in_the_last_stem(four: tuple[Any, Separator]) -> None:
    mix = song(60_000)
    plain, shifted = separated(four[1], mix), separated(four[1], mix + np.float32(0.25))
    for stem in ("vocals", "drums", "bass"):
        assert distance(shifted[stem], plain[stem]) < -80
    assert (shifted["other"] - plain["other"]).mean() == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), (2, 48_000), (1, 22_050)])
def test_any_rate_mono_or_stereo(four: tuple[Any, Separator], channels: int, rate: int) -> None:
    mix = song(70_001, channels)
    got = separated(four[1], mix, rate)
    assert all(part.shape == mix.shape for part in got.values())
    np.testing.assert_allclose(sum(got.values()), mix, atol=1e-6)


def test_mono_is_the_mean_of_what_demucs_makes_of_both_sides(four: tuple[Any, Separator]) -> None:
    model, separator = four
    mix = song(50_000, 1)
    wanted = by_demucs(model, np.repeat(mix, 2, 0))["bass"].mean(0, keepdims=True)
    assert distance(separated(separator, mix)["bass"], wanted) < -100


VARIANTS: dict[str, dict[str, Any]] = {
    "as released, six stems": {"bottom_channels": 0, "dconv_mode": 1},
    "other widths": {"channels": 16, "bottom_channels": 48, "t_heads": 4, "dconv_comp": 8},
    "no frequency embedding": {"freq_emb": 0.0},
    "no layer scale": {"t_layer_scale": False, "t_norm_out": False},
    "cross attention first": {"t_cross_first": True, "t_layers": 2},
    "other positions": {"t_weight_pos_embed": 0.5, "t_max_period": 500.0},
}
UNUSUAL: dict[str, dict[str, Any]] = {
    "one frequency at the bottom": {"nfft": 4096, "depth": 5},
    "norms": {"norm_starts": 2},
    "ReLU": {"t_gelu": False},
    "norm after": {"t_norm_first": False, "t_norm_out": False},
    "positions of CAPE": {"t_emb": "cape"},
    "no transformer": {"t_layers": 0},
    "magnitudes": {"cac": False},
    "wider context": {"context_enc": 1},
}


@pytest.mark.parametrize("name", [*VARIANTS, *UNUSUAL])
def test_variants_of_the_architecture(tmp_path: Path, name: str) -> None:
    model = network(**(VARIANTS | UNUSUAL)[name])
    assert bool(supports(model)) == (name in VARIANTS)
    separator = build(offered(FOUR), [safetensors(model, tmp_path / "x.safetensors")])
    mix = song(SEGMENT + 5_000)
    got, wanted = separated(separator, mix), by_demucs(model, mix)
    assert distance(got["drums"], wanted["drums"]) < -100


def bag(tmp_path: Path, weights: list[list[float]] | None) -> tuple[Any, list[Path]]:
    models = [network(seed=seed) for seed in range(len(weights or [0, 0]))]
    files = [
        safetensors(model, tmp_path / f"{chr(97 + seed)}0-{seed}.safetensors")
        for seed, model in enumerate(models)
    ]
    if weights:
        definition = {"models": [f"{chr(97 + seed)}0" for seed in range(len(models))]}
        (tmp_path / "bag.yaml").write_text(yaml.safe_dump({**definition, "weights": weights}))
        files = [files[-1], tmp_path / "bag.yaml", *files[:-1]]  # the definition gives the order
    return BagOfModels(models, weights), files


@pytest.mark.parametrize(
    "weights",
    [
        None,
        [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
        [[1.0, 0.5, 0.0, 1.0], [2.0, 0.5, 1.0, 0.0]],
    ],
)
def test_a_bag_is_weighted_by_source(tmp_path: Path, weights: list[list[float]] | None) -> None:
    model, files = bag(tmp_path, weights)
    separator = build(offered(FOUR), files)
    mix = song(SEGMENT + 9_000)
    got, wanted = separated(separator, mix), by_demucs(model, mix)
    for stem in FOUR[:-1]:
        assert distance(got[stem], wanted[stem]) < -100


def test_the_model_of_the_last_stem_alone_never_runs(tmp_path: Path) -> None:
    eye: list[list[float]] = np.eye(4).tolist()
    _, files = bag(tmp_path, eye)
    asked = 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    mix = song(SEGMENT)
    separated(build(offered(FOUR), files), mix, size=SEGMENT, cancelled=count)
    assert asked == 1 + 2 * 3  # by ``Streamed`` for its piece, then for three models, two segments


def test_it_is_cancelled_between_segments(four: tuple[Any, Separator]) -> None:
    calls: Iterator[bool] = iter([False] * 9 + [True] * 90)
    with pytest.raises(Cancelled):
        separated(four[1], song(20 * SEGMENT), cancelled=lambda: next(calls))


def test_two_songs_at_once_are_what_they_are_alone(four: tuple[Any, Separator]) -> None:
    songs = [song(90_000, seed=seed) for seed in (1, 2)]
    alone = [separated(four[1], mix) for mix in songs]
    together: list[dict[str, Block]] = [{}, {}]

    def run(index: int) -> None:
        together[index] = separated(four[1], songs[index])

    threads = [Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (0, 1):
        for stem in FOUR:
            assert distance(together[index][stem], alone[index][stem]) < -110


def test_what_a_song_holds_does_not_grow(four: tuple[Any, Separator]) -> None:
    core: Any = four[1]
    run = core._core.start(Request(RATE, 2, 0), lambda: False)
    held = []
    for _ in range(40):
        run.push(song(5_000))
        held.append(sum(part.shape[1] for part in run._held))
    assert max(held) <= 2 * SEGMENT


class Wrong:
    """Put into a pickle, it would leave a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


BROKEN: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "code": ("cannot be read", lambda d: [pickled(network(), d / "x.th", training_args=Wrong())]),
    "another class": ("not an allowed", lambda d: [pickled(Demucs(list(FOUR), channels=4, depth=2),
                                                  d / "x.th")]),
    "another class, named": (
        "not demucs.htdemucs.HTDemucs",
        lambda d: [safetensors(network(), d / "x.safetensors", klass="os.system")],
    ),
    "no metadata": (
        "nameless", lambda d: [bare(d / "x.safetensors")],
    ),
    "cut off": ("not safetensors", lambda d: [cut(safetensors(network(), d / "x.safetensors"))]),
    "cut off pickle": ("cannot be read", lambda d: [cut(pickled(network(), d / "x.th"))]),
    "missing weights": ("cannot be read", lambda d: [pickled(network(), d / "x.th", state={})]),
    "not a package": ("no package", lambda d: [saved([1, 2], d / "x.th")]),
    "not there": ("not there", lambda d: [d / "x.th"]),
    "not there either": ("not there", lambda d: [d / "x.safetensors"]),
    "no file": ("no file", lambda d: []),
    "another kind": ("a model is one or more", lambda d: [d / "x.onnx"]),
    "quantised": ("quantised", lambda d: [pickled(network(), d / "x.th",
                                                  state={"__quantized": True})]),
    "another rate": ("44.1 kHz", lambda d: [pickled(network(samplerate=48_000), d / "x.th")]),
    "other sources": ("separates into drums", lambda d: [pickled(network(("drums", "rest")),
                                                                 d / "x.th")]),
    "a bag that differs": ("differ from", lambda d: [
        pickled(network(), d / "x.th"), pickled(network(SIX), d / "y.th")]),
    "a bag without weights for all": ("rows of 4", lambda d: weighted(d, [[1, 1, 1, 1]])),
    "a bag without weight for one": ("rows of 4", lambda d: weighted(d, [[1, 1, 1, 0]] * 2)),
    "a bag of others": ("the files are not those", lambda d: weighted(d, None, ["x", "z"])),
    "a bag of nothing": ("no bag", lambda d: weighted(d, None, None)),
}  # fmt: skip


def bare(path: Path) -> Path:
    save_file({"weight": torch.zeros(1)}, path)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:5_000])
    return path


def saved(what: object, path: Path) -> Path:
    torch.save(what, path)
    return path


def weighted(d: Path, weights: object, models: object = ("x", "y")) -> list[Path]:
    files = [pickled(network(), d / f"{name}.th") for name in "xy"]
    listed = list(models) if isinstance(models, tuple) else models
    (d / "bag.yaml").write_text(yaml.safe_dump({"models": listed, "weights": weights}))
    return [*files, d / "bag.yaml"]


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    says, files = BROKEN[fault]
    with pytest.raises(ModelError, match=says) as caught:
        build(offered(FOUR), files(tmp_path))
    assert caught.value.code == "model_unavailable"
    assert not (tmp_path / "ran").exists()


def test_not_a_number_fails_the_model(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model.decoder[-1].conv_tr.bias[:] = math.nan
    separator = build(offered(FOUR), [pickled(model, tmp_path / "x.th")])
    with pytest.raises(ModelError) as caught:
        separated(separator, song(SEGMENT))
    assert caught.value.code == "model_failed"


def test_a_batch_that_does_not_fit_is_halved(four: tuple[Any, Separator]) -> None:
    model, separator = four
    sizes: list[int] = []

    def small(mix: torch.Tensor) -> torch.Tensor:
        sizes.append(len(mix))
        if len(mix) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        out: torch.Tensor = model(mix)[:, [3, 0, 1]]
        return out

    core = Core([Member(small, [0, 1, 2], [1.0] * 3)], 3, SEGMENT, 4)
    run = core.start(request(song(150_000)), lambda: False)
    mix = song(150_000)
    got = np.concatenate([run.push(mix), run.finish()], 2)
    assert sizes[:7] == [4, 2, 1, 1, 2, 1, 1]
    assert set(sizes[7:]) == {1}
    assert distance(got[0], separated(separator, mix)["vocals"]) < -100


def test_full_memory_is_said_and_may_be_tried_again(tmp_path: Path) -> None:
    """A real allocation fails: the process may have no more address space than it has."""
    path = pickled(network(), tmp_path / "x.th")
    program = f"""
import resource, numpy as np, torch
from pathlib import Path
from domain.catalog import Model
from domain.errors import ModelError
from infra.separators import Request
from infra.separators.htdemucs import build
torch.set_num_threads(1)
separator = build(Model(name="m", title="M", stems={FOUR!r}), [Path({str(path)!r})])
run = separator._core.start(Request(44100, 2, 9), lambda: False)
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2_000_000, held + 2_000_000))
try:
    run.push(np.zeros((2, 30_000), np.float32))
except ModelError as error:
    print(error.code, error.transient)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["model_out_of_memory", "True"]


def test_half_precision_is_near_and_overflow_is_computed_again(tmp_path: Path) -> None:
    """What CUDA does, on the CPU: the package's forward pass under autocast."""
    model = network()
    window = torch.from_numpy(song(SEGMENT))[None]
    with torch.inference_mode():
        exact = model(window)[:, [0]]
        near = Package(model, [0], torch.device("cpu"), torch.bfloat16)(window)
        assert -80 < distance(near.numpy(), exact.numpy()) < -20
        with_overflow = network()
        with_overflow.load_state_dict(model.state_dict())
        with_overflow.encoder[0].rewrite.weight.mul_(1e30)
        loud = Package(with_overflow, [0], torch.device("cpu"), torch.float16)(window)
        np.testing.assert_array_equal(loud.numpy(), with_overflow(window)[:, [0]].numpy())


def test_the_package_needs_no_torch_until_a_model_is_built() -> None:
    program = "import infra.separators.htdemucs, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
