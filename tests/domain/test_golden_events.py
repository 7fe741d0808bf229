"""Every shape of event ever written must be decoded for ever. Add a line; never change one."""

from __future__ import annotations

import msgspec
import pytest

from domain.aggregate import Aggregate
from domain.asset import ASSET
from domain.credits import CREDITS
from domain.job import JOB
from domain.user import USER

GOLDEN = {
    USER: [
        '{"type":"UserSignedUp","user_id":"usr_1","issuer":"development","email":"c2VhbGVk"}',
    ],
    ASSET: [
        '{"type":"UploadInitialized","user_id":"usr_1","filename":"a.mp3",'
        '"content_type":"audio/mpeg","size":9,"part_size":8388608,"key":"k","upload_id":"u"}',
        '{"type":"UploadCompleted","user_id":"usr_1","key":"k","size":9,"etag":"e"}',
        '{"type":"UploadAborted","user_id":"usr_1","reason":"upload_expired"}',
        '{"type":"AssetProbed","user_id":"usr_1",'
        '"audio":{"samples":441000,"rate":44100,"channels":2},"container":"mp3","codec":"mp3"}',
        '{"type":"AssetRejected","user_id":"usr_1","code":"no_audio","detail":"No sound."}',
    ],
    JOB: [
        '{"type":"SeparationRequested","user_id":"usr_1","asset_id":"ast_1","source_key":"k",'
        '"model":"spleeter-2stems","stems":["vocals","accompaniment"],"format":"flac",'
        '"samples":441000,"rate":44100,"channels":2,"price":10,"price_list":"2026-11",'
        '"retry_of":null}',
        '{"type":"SeparationStarted","user_id":"usr_1","attempt":1,"worker":"host:1:ab"}',
        '{"type":"StageRecorded","user_id":"usr_1","attempt":1,"stage":"decode","milliseconds":5}',
        '{"type":"SeparationCompleted","user_id":"usr_1","attempt":1,"stems":[{"name":"vocals",'
        '"key":"k","bytes":9,"media_type":"audio/flac","peak":0.5}],"gain_db":0.0}',
        '{"type":"SeparationFailed","user_id":"usr_1","attempt":1,"stage":"decode",'
        '"code":"ffmpeg_failed","detail":"d"}',
        '{"type":"SeparationCancelled","user_id":"usr_1","reason":"r"}',
    ],
    CREDITS: [
        '{"type":"CreditsGranted","user_id":"usr_1","grant_id":"grt_1","source":"signup",'
        '"amount":600,"expires":null,"priority":100}',
        '{"type":"CreditsReserved","user_id":"usr_1","job_id":"job_1","amount":10,'
        '"draws":[["grt_1",10]]}',
        '{"type":"CreditsCaptured","user_id":"usr_1","job_id":"job_1","amount":8,'
        '"draws":[["grt_1",8]],"returned":[["grt_1",2]]}',
        '{"type":"CreditsReleased","user_id":"usr_1","job_id":"job_1","amount":10,'
        '"draws":[["grt_1",10]],"reason":"cancelled"}',
        '{"type":"CreditsExpired","user_id":"usr_1","grant_id":"grt_1","amount":3}',
    ],
}  # fmt: skip
CASES = [(aggregate, text) for aggregate, texts in GOLDEN.items() for text in texts]


@pytest.mark.parametrize(("aggregate", "text"), CASES)
def test_is_decoded_and_written_again_the_same(aggregate: Aggregate[object], text: str) -> None:
    events = aggregate.decode(f"[{text}]")
    assert msgspec.json.encode(events).decode() == f"[{text}]"


@pytest.mark.parametrize("aggregate", GOLDEN)
def test_every_event_has_a_golden_line(aggregate: Aggregate[object]) -> None:
    lines = {msgspec.json.decode(text)["type"] for text in GOLDEN[aggregate]}
    assert lines == {e.__name__ for e in aggregate.events}
