"""Hosted models that do not work: what is said, what is tried again, and what is stopped.

That nothing is left running is checked after every test, by the fixture.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest
import structlog

from domain.audio import Cancelled
from domain.errors import ModelError
from infra.separators import Request
from infra.separators.replicate.timing import Patience
from tests.infra.replicate.conftest import SAM, START, Block, Desk, Notes, song
from tests.infra.replicate.provider import TOKEN, VERSION, Fault

CREATE, GET, LIST = "POST /v1/predictions", "GET /v1/predictions/{id}", "GET /v1/predictions"
CANCEL = "POST /v1/predictions/{id}/cancel"
BROKEN, LOST = Fault(), Fault(after=True)


def refused(desk: Desk, code: str, *, transient: bool, **options: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        desk.stems(desk.hosted(**options), song(0.5))  # type: ignore[arg-type]
    error = caught.value
    assert (error.code, error.transient) == (code, transient)
    assert TOKEN not in repr(error)
    assert str(desk.work) not in str(error)
    return error


@pytest.mark.parametrize("request_", [CREATE, GET, LIST, "GET target"])
@pytest.mark.parametrize(
    "fault",
    [
        BROKEN,
        Fault(500),
        Fault(503, headers={"Retry-After": "3"}),
        Fault(429, b'{"detail": "Request was throttled. Your rate limit resets in ~30s."}'),
        Fault(200, b"<html>an angry proxy</html>"),
        Fault(200, b'{"id": "p", "status": 7}'),
        Fault(200, b"[" * 100_000),
        Fault(502, b'{"half', cut=3),
    ],
    ids=["broken", "500", "503", "429", "html", "shape", "deep", "half"],
)
def test_what_passes_is_tried_again(desk: Desk, request_: str, fault: Fault) -> None:
    if request_ == "GET target" and fault.status == 200:
        pytest.skip("any bytes can be a file")
    if request_ == LIST:
        desk.provider.fail(CREATE, LOST)
    desk.provider.fail(request_, fault, fault)
    desk.stems(desk.hosted(), song(0.5))
    assert len(desk.provider.made) == 1


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(429, headers={"Retry-After": "17"}), 17),
        (Fault(429, b'{"detail": "Your rate limit resets in ~30s."}'), 30),
        (Fault(503, headers={"Retry-After": formatdate(START + 20, usegmt=True)}), 20),
    ],
)
def test_a_wait_that_the_provider_asks_for_is_kept(
    desk: Desk, fault: Fault, seconds: float
) -> None:
    desk.provider.states = ["succeeded"]
    desk.provider.fail(CREATE, fault)
    desk.stems(desk.hosted(), song(0.5))
    assert seconds - 1 <= desk.clock.time <= seconds + 1


@pytest.mark.parametrize("request_", [CREATE, GET, "GET residual"])
def test_an_outage_ends_the_song_for_now(desk: Desk, request_: str) -> None:
    desk.provider.fail(request_, *[Fault(503)] * 100)
    refused(desk, "provider_unavailable", transient=True)
    assert 100 < desk.clock.time < 2000


def test_nobody_there(desk: Desk) -> None:
    hosted = desk.hosted()
    desk.provider.close()
    with pytest.raises(ModelError, match="no connection"):
        desk.stems(hosted, song(0.5))


def test_a_wrong_token_is_the_operators_business(desk: Desk) -> None:
    error = refused(desk, "provider_unavailable", transient=False, token="r8_another")
    assert "operator's token" in str(error)


def test_an_account_that_cannot_pay(desk: Desk) -> None:
    desk.provider.fail(CREATE, Fault(402, b'{"detail": "You have insufficient credit"}'))
    assert "cannot pay" in str(refused(desk, "provider_unavailable", transient=False))


def test_an_api_that_moved_is_not_followed(desk: Desk) -> None:
    to = {"Location": f"{desk.provider.files_base}/v1/predictions"}
    desk.provider.fail(CREATE, Fault(307, b"", to))
    assert "SPLITSOUND_REPLICATE_API_BASE" in str(
        refused(desk, "provider_unavailable", transient=False)
    )


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_refusal_says_why_briefly_and_without_addresses(desk: Desk, status: int) -> None:
    why = '{"detail": "no: https://files.example/a.flac?signature=secret data:x;y ' + "w " * 999
    desk.provider.fail(CREATE, Fault(status, (why + '"}').encode()))
    text = str(refused(desk, "provider_refused", transient=False))
    assert "no: [address] [address] w w" in text
    assert len(text) < 370


def test_another_version_is_refused_in_the_providers_words(desk: Desk) -> None:
    error = refused(desk, "provider_refused", transient=False, offer={**SAM, "version": "0" * 64})
    assert "Invalid version" in str(error)


def test_no_words_for_a_model_that_needs_some(desk: Desk) -> None:
    with pytest.raises(ModelError, match="needs words"):
        desk.stems(desk.hosted(), song(0.5), prompt="  ")
    assert desk.provider.requests == []


@pytest.mark.parametrize("error", ["CUDA at https://x.invalid/t out of memory", None, {"e": 1}])
def test_a_failed_prediction(desk: Desk, error: object) -> None:
    desk.provider.states, desk.provider.error = ["starting", "failed"], error  # type: ignore[assignment]
    text = str(refused(desk, "provider_failed", transient=False))
    assert "https" not in text


@pytest.mark.parametrize("end", ["canceled", "aborted"])
def test_somebody_else_ended_it(desk: Desk, end: str) -> None:
    desk.provider.states = ["starting", end]
    refused(desk, "provider_failed", transient=True)


def test_one_that_the_provider_forgot(desk: Desk) -> None:
    desk.provider.fail(GET, Fault(404))
    refused(desk, "provider_failed", transient=True)


def test_one_that_never_starts(desk: Desk) -> None:
    desk.provider.states = ["starting"]
    refused(desk, "provider_timeout", transient=True)
    assert 600 < desk.clock.time < 610


def test_one_that_never_ends(desk: Desk) -> None:
    desk.provider.states = ["starting", "processing"]
    refused(desk, "provider_timeout", transient=False, patience=Patience(run=100))
    assert 100 < desk.clock.time < 110


def test_a_state_that_nobody_knows_is_waited_out(desk: Desk) -> None:
    desk.provider.states = ["queued-for-later"]
    refused(desk, "provider_timeout", transient=True)


@pytest.mark.parametrize("times", [1, 2, 6])
def test_a_creation_whose_answer_is_lost_is_found_again(desk: Desk, times: int) -> None:
    desk.provider.states = ["starting", "processing", "succeeded"]
    desk.provider.fail(CREATE, LOST)
    desk.provider.fail(LIST, *[Fault(503)] * (times - 1))
    memory = Notes()
    desk.stems(desk.hosted(memory=memory), song(0.5))
    assert len(desk.provider.made) == 1
    assert list(memory.values()) == ["p0xyz"]


def test_a_stray_that_appears_late_is_cancelled(desk: Desk) -> None:
    """Its creation was lost, the list does not show it yet, so that another one is made."""
    desk.provider.fail(CREATE, LOST)
    desk.provider.fail(LIST, Fault(200, b'{"results": []}'))
    desk.stems(desk.hosted(), song(0.5))
    assert [p.status for p in desk.provider.made.values()] == ["canceled", "succeeded"]


def test_no_more_than_three_creations_are_risked(desk: Desk) -> None:
    desk.provider.fail(CREATE, *[LOST] * 100)
    desk.provider.fail(LIST, *[Fault(200, b'{"results": []}')] * 5)
    desk.stems(desk.hosted(), song(0.5))
    assert [p.status for p in desk.provider.made.values()] == ["canceled", "canceled", "succeeded"]


def test_another_songs_prediction_is_not_touched(desk: Desk) -> None:
    desk.provider.states = ["processing"]
    other = {"version": VERSION, "input": {"audio": f"{desk.provider.files_base}/x?y"}}
    (desk.provider.directory / "x").write_bytes(b"other")
    desk.provider.create(other, {"content-type": "application/json"})
    desk.provider.states = ["starting", "processing"]
    desk.provider.fail(CREATE, LOST)
    refused(desk, "provider_timeout", transient=False)
    assert desk.provider.running == ["p0xyz"]
    desk.provider.cancel("p0xyz")


def test_an_answer_without_end(desk: Desk) -> None:
    desk.provider.fail(GET, Fault(200, b'{"logs": "' + b"x" * (17 << 20)))
    refused(desk, "provider_failed", transient=False)


@pytest.mark.parametrize("id_", ["../files/f0", "", "x" * 200])
def test_an_id_that_is_a_path(desk: Desk, id_: str) -> None:
    desk.provider.fail(CREATE, Fault(201, b'{"id": "%s", "status": "starting"}' % id_.encode()))
    refused(desk, "provider_failed", transient=False)


@pytest.mark.parametrize("moment", [0, 1, 2, 3, 5])
def test_cancelling_reaches_the_provider_at_once(desk: Desk, moment: int) -> None:
    desk.provider.states = ["starting", "processing"]
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += bool(desk.provider.made)
        return asked > moment

    with pytest.raises(Cancelled):
        desk.stems(desk.hosted(), song(0.5), cancelled=cancelled)
    assert [p.status for p in desk.provider.made.values()] == ["canceled"]
    assert desk.clock.time <= 2.0 + moment


def test_cancelling_while_the_provider_hangs(desk: Desk) -> None:
    desk.provider.fail(GET, Fault(200, b"{}", hang=5))
    began = time.monotonic()
    with pytest.raises(Cancelled):
        desk.stems(desk.hosted(), song(0.5), cancelled=lambda: GET in desk.provider.requests)
    assert time.monotonic() - began < 4


def test_a_cancellation_that_fails_at_first_is_tried_again(desk: Desk) -> None:
    desk.provider.states = ["starting", "processing"]
    desk.provider.fail(CANCEL, BROKEN, Fault(503), Fault(429))
    with pytest.raises(Cancelled):
        desk.stems(desk.hosted(), song(0.5), cancelled=lambda: GET in desk.provider.requests)


def test_cancelled_before_anything_was_asked_for(desk: Desk) -> None:
    with pytest.raises(Cancelled):
        desk.stems(desk.hosted(), song(0.5), cancelled=lambda: True)
    assert desk.provider.requests == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_expired_address_is_asked_for_once_more(desk: Desk, status: int) -> None:
    desk.provider.fail("GET residual", Fault(status))
    desk.stems(desk.hosted(), song(0.5))
    assert desk.provider.requests[-3:] == [GET, "GET target", "GET residual"]
    desk.provider.fail("GET residual", *[Fault(status)] * 2)
    refused(desk, "provider_failed", transient=True)


def test_a_download_goes_on_where_it_broke(desk: Desk) -> None:
    desk.provider.fail("GET target", Fault(cut=30_000), Fault(cut=5_000))
    stems = desk.stems(desk.hosted(), song(0.5))
    assert stems["target"].shape == (2, 22_050)
    assert desk.provider.ranges == ["bytes=30000-", "bytes=35000-"]


@pytest.mark.parametrize("status", [416, 206])
def test_a_server_that_cannot_go_on_starts_again(desk: Desk, status: int) -> None:
    desk.provider.fail("GET target", Fault(cut=30_000), Fault(status, b"wrong part"))
    desk.stems(desk.hosted(), song(0.5))
    assert desk.provider.requests.count("GET target") == 3


def outputs(*options: str) -> Callable[[Desk], None]:
    return lambda desk: desk.provider.outputs.update(residual=list(options))


def shape(value: object) -> Callable[[Desk], None]:
    def change(desk: Desk) -> None:
        desk.provider.shape = lambda _: value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (outputs("-t", "0.6"), "residual lasts 0.6 seconds and the song 1.5"),
        (outputs("-af", "apad=pad_dur=1"), "residual lasts 2.5 seconds and the song 1.5"),
        (outputs("-af", "apad=pad_dur=9"), "media_too_long"),
        (outputs("-ar", "192000", "-c:a", "pcm_f64le"), "a file of more than 2 MB"),
        (shape(None), "no output any more"),
        (shape("https://a.invalid/b"), "no target at 'target', only one value"),
        (shape({"target": None, "https://c.invalid/": 1}), "only the keys target, [address]"),
        (shape(["a", "b"]), "only a list of 2"),
        (shape({"target": 7, "residual": 8}), "no target at 'target'"),
        (shape({"target": "data:audio/wav;base64,AAAA", "residual": "x"}), "no https:// address"),
        (shape({"target": "file:///etc/passwd", "residual": "x"}), "no https:// address"),
        (shape({"target": "http://u:p@127.0.0.1/", "residual": "x"}), "no https:// address"),
        (shape({"target": "https://" + 70_000 * "x", "residual": "x"}), "has no address"),
    ],
)
def test_what_cannot_be_used(desk: Desk, change: Callable[[Desk], None], said: str) -> None:
    change(desk)
    with pytest.raises(ModelError) as caught:
        desk.stems(desk.hosted(), song(1.5))
    assert caught.value.code == "provider_failed"
    assert said in str(caught.value)
    assert ".invalid" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"#EXTM3U\nfile:///etc/passwd", bytes(999)])
def test_files_that_are_no_sound(desk: Desk, content: bytes) -> None:
    desk.provider.fail("GET target", Fault(200, content))
    text = str(refused(desk, "provider_failed", transient=False))
    assert "its target is no sound" in text


def test_the_token_is_nowhere_to_be_read(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.provider.fail(CREATE, LOST, Fault(500))
    desk.provider.fail(CANCEL, Fault(400))
    hosted = desk.hosted()
    with structlog.testing.capture_logs() as logs, pytest.raises(Cancelled):
        desk.stems(hosted, song(0.5), cancelled=lambda: GET in desk.provider.requests)
    desk.provider.cancel("p0xyz")
    shown = [
        repr(hosted),
        *map(repr, vars(hosted).values()),
        *map(repr, vars(hosted._api).values()),
    ]
    for text in (caplog.text, str(logs), *shown):
        assert TOKEN not in text
    assert logs[0]["event"] == "provider_prediction_not_cancelled"


def test_an_error_on_the_way_in_costs_nothing(desk: Desk) -> None:
    def chunks() -> Iterator[Block]:
        yield song(0.5)
        raise OSError("the disk broke")

    request = Request(44_100, 2, 44_100, prompt="x")
    with pytest.raises(OSError, match="the disk broke"):
        list(desk.hosted().separate(chunks(), request, lambda _: None, lambda: False))
    assert desk.provider.requests == []


def test_an_error_in_what_is_told_stops_the_prediction(desk: Desk) -> None:
    """A worker that loses its job says so wherever it is asked for anything."""
    desk.provider.states = ["starting", "processing"]

    def progress(_: float) -> None:
        if desk.provider.made:
            raise RuntimeError("the job is somebody else's now")

    request = Request(44_100, 2, 44_100, prompt="x")
    with pytest.raises(RuntimeError):
        list(desk.hosted().separate([song(1.0)], request, progress, lambda: False))
    assert [p.status for p in desk.provider.made.values()] == ["canceled"]
