"""Uploads: idempotent openings and completions, part sizes that S3 takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import asset
from domain.asset import ASSET, MIB, AssetState, UploadInitialized, part_count, part_size
from domain.audio import Audio, format_for
from domain.catalog import Catalog, Limits, Model
from domain.errors import (
    AssetNotReady,
    AssetUnusable,
    KeyReused,
    NotFound,
    Refused,
    UnsupportedFormat,
)

OPENING = UploadInitialized("u", "song.mp3", "audio/mpeg", 1000, 8 * MIB, "key", "upload-1")
AUDIO = Audio(44100, 44100, 2)


def uploading() -> AssetState:
    return ASSET.fold([OPENING])


def uploaded() -> AssetState:
    return ASSET.fold(asset.complete(uploading(), 1000, "etag"), uploading())


@given(st.integers(1, 5 * 1024**4))
def test_parts_cover_the_file_within_s3s_limits(size: int) -> None:
    part, count = part_size(size), part_count(size)
    assert 8 * MIB <= part <= 5 * 1024 * MIB
    assert count <= 9000
    assert (count - 1) * part < size <= count * part


def test_opening_again_is_harmless_but_another_file_is_refused() -> None:
    again = UploadInitialized("u", "song.mp3", "audio/mpeg", 1000, 8 * MIB, "key", "upload-2")
    assert asset.initialize(uploading(), again) == []
    other = UploadInitialized("u", "song.mp3", "audio/mpeg", 1001, 8 * MIB, "key", "upload-2")
    with pytest.raises(KeyReused):
        asset.initialize(uploading(), other)


def test_completing_and_probing_twice_is_harmless() -> None:
    state = uploaded()
    assert asset.complete(state, 1000, "etag") == []
    state = ASSET.fold(asset.probed(state, AUDIO, "mp3", "mp3"), state)
    assert asset.probed(state, AUDIO, "mp3", "mp3") == []
    assert asset.reject(state, "no_audio", "") == []
    assert asset.separable(state, "u") == AUDIO


def test_a_finished_upload_is_not_aborted() -> None:
    with pytest.raises(Refused):
        asset.abort(uploaded(), "changed my mind")


def test_an_aborted_upload_is_not_completed() -> None:
    state = ASSET.fold(asset.abort(uploading(), "enough"), uploading())
    assert asset.abort(state, "again") == []
    with pytest.raises(Refused):
        asset.complete(state, 1000, "etag")


def test_only_a_probed_asset_of_ones_own_is_separable() -> None:
    with pytest.raises(NotFound):
        asset.separable(uploaded(), "stranger")
    for state in (uploading(), uploaded()):
        with pytest.raises(AssetNotReady):
            asset.separable(state, "u")
    rejected = ASSET.fold(asset.reject(uploaded(), "no_audio", "No sound."), uploaded())
    with pytest.raises(AssetUnusable, match="No sound"):
        asset.separable(rejected, "u")


def test_mp3_does_not_carry_every_rate() -> None:
    assert format_for("mp3", 48_000).extension == "mp3"
    for rate in (192_000, 96_000, 44_000):
        with pytest.raises(UnsupportedFormat):
            format_for("mp3", rate)
        assert format_for("flac", rate).extension == "flac"


@given(st.integers(1, 10**10), st.sampled_from([8000, 44100, 192_000]))
def test_started_seconds_are_paid(samples: int, rate: int) -> None:
    models = {
        "one": Model("one", "", ("a",)),
        "dear": Model("dear", "", ("a",), credits_per_second="1.1"),
    }
    catalog = Catalog(models, "one", Limits(), "test")
    price = catalog.price("one", samples, rate)
    assert (price - 1) * rate < samples <= price * rate
    assert 10 * rate * catalog.price("dear", samples, rate) >= 11 * samples
