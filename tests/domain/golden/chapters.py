"""What is recorded: each chapter is a story told by real commands, in streams of its own.

A chapter whose file exists is not told again, so its function may be deleted when the commands
have moved on; the file stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from commands import (
    AbandonSeparation,
    AbortUpload,
    AddWebhookEndpoint,
    AdjustCredits,
    CancelSeparation,
    ChangeWebhookEndpoint,
    CompleteSeparation,
    CompleteUpload,
    CreateApiKey,
    DeleteAsset,
    DeleteJob,
    DisableWebhookEndpoint,
    EnableWebhookEndpoint,
    EraseAccount,
    EraseAsset,
    EraseJob,
    ErasePurchase,
    EraseUser,
    FailSeparation,
    FinishErasure,
    HandBack,
    InitializeUpload,
    NoteAct,
    NoteDispute,
    NoteRefund,
    OpenCheckout,
    Pause,
    PurgeAsset,
    PurgeJob,
    RecordLapse,
    RecordPayment,
    RecordPending,
    RecordProbe,
    RecordRefund,
    RecordStage,
    RefundSeparation,
    RejectAsset,
    RemoveWebhookEndpoint,
    RenameAsset,
    RequestSeparation,
    RequeueSeparation,
    RestoreAsset,
    RestoreJob,
    Resume,
    RevokeApiKey,
    RotateWebhookSecret,
    SignUp,
    StartSeparation,
    StoreStem,
    TagAsset,
    TidyMedia,
)
from commands.dispatch import Command
from domain import credits
from domain.acts import REDRIVE, ROLL_BACK
from domain.aggregate import Event
from domain.audio import Audio
from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted
from domain.job import STAGES
from domain.packs import Pack
from domain.purchase import Claim, Payment
from domain.retention import DAY
from domain.stems import StemFile, as_stored
from projections import RESULTS_VIEW
from projections.catch_up import catch_up
from tests.world import World


class Teller:
    """A world whose clock goes on by a quarter of a second with each command."""

    def __init__(self, user: str) -> None:
        self.world, self.user = World(seed=1), user

    def do(self, *commands: Command) -> None:
        """Execute them, one commit after the other."""
        for command in commands:
            self.world.clock.time += 250
            self.world.do(command)

    def book(self, decide: Callable[[Any], list[Event]]) -> None:
        """What no command asks for yet: a decision on the user's account, committed."""
        self.world.clock.time += 250
        store = self.world.store
        account = store.load(CREDITS, CREDITS.stream(self.user))
        meta = Meta(self.world.context.ids.fresh("cmd"), "test", "req_1", "cmd_1")
        store.append([Append(account, decide(account.state))], meta)

    def stems(self, job: str, attempt: int) -> tuple[StemFile, ...]:
        """Two files of an attempt."""
        folder = f"user_{self.user}/jobs/{job}/output/{attempt}"
        return tuple(
            StemFile(name, f"{folder}/{name}.flac", 1_234_567, "audio/flac", 0.75)
            for name in ("vocals", "accompaniment")
        )


def first_release() -> World:
    """Uploads, jobs and credits as the first release knew them."""
    tell = Teller("usr_ann")
    tell.world.sign_up("usr_ann")
    tell.world.ready_asset("usr_ann", "ast_song", seconds=12)
    upload = ("usr_ann", "ast_gone", "müde.mp3", "audio/mpeg", 1000, 8 << 20, "k", "up")
    tell.do(InitializeUpload(*upload), AbortUpload("usr_ann", "ast_gone", "aborted by the user"))
    tell.do(
        InitializeUpload("usr_ann", "ast_mute", "a.wav", "", 9, 8 << 20, "k", "up"),
        CompleteUpload("usr_ann", "ast_mute", 9, "etag"),
        RejectAsset("ast_mute", "no_audio", "There is no sound in it."),
    )
    _first_jobs(tell)
    _first_credits(tell)
    return tell.world


def _first_jobs(tell: Teller) -> None:
    def ask(job: str, retry_of: str | None = None) -> Command:
        return RequestSeparation("usr_ann", job, "ast_song", "two", "flac", (), retry_of)

    tell.do(ask("job_done"), StartSeparation("job_done", "w:1"))
    tell.do(RecordStage("job_done", 1, "download", 31), StartSeparation("job_done", "w:2"))
    tell.do(*(RecordStage("job_done", 2, stage, 1000) for stage in STAGES))
    tell.do(CompleteSeparation("job_done", 2, tell.stems("job_done", 2), -1.5))
    tell.do(ask("job_bad"), StartSeparation("job_bad", "w:1"))
    tell.do(FailSeparation("job_bad", 1, "decode", "ffmpeg_failed", "It ends in its middle."))
    tell.do(ask("job_back", "job_bad"), CancelSeparation("usr_ann", "job_back"))
    tell.do(ask("job_open"), StartSeparation("job_open", "w:1"), ask("job_new"))


def _first_credits(tell: Teller) -> None:
    soon = tell.world.clock.now() + 2000
    gift = CreditsGranted("usr_ann", "grt_gift", "promotion", 20, soon, 10)
    tell.book(lambda account: credits.grant(account, gift, soon - 2000))
    tell.book(lambda account: credits.reserve(account, "job_part", 7, soon - 1500))
    tell.book(lambda account: credits.capture(account, "job_part", 5, soon - 1500))
    tell.world.clock.time += 5000
    tell.book(lambda account: credits.expire(account, soon))


def operators() -> World:
    """Hands on the wheel: pauses, and jobs done anew, failed and refunded."""
    tell = Teller("usr_bob")
    tell.world.sign_up("usr_bob")
    tell.world.ready_asset("usr_bob", "ast_tune")

    def ask(job: str) -> Command:
        return RequestSeparation("usr_bob", job, "ast_tune", "two", "flac")

    tell.do(ask("job_twice"), StartSeparation("job_twice", "w:1"))
    tell.do(RequeueSeparation("job_twice", "the worker hangs"), StartSeparation("job_twice", "w:2"))
    tell.do(FailSeparation("job_twice", 3, "decode", "ffmpeg_failed", "It broke."))
    tell.do(RequeueSeparation("job_twice", "repaired"), StartSeparation("job_twice", "w:3"))
    tell.do(CompleteSeparation("job_twice", 5, tell.stems("job_twice", 5), 0.0))
    tell.do(ask("job_hiss"), StartSeparation("job_hiss", "w:1"))
    tell.do(CompleteSeparation("job_hiss", 1, tell.stems("job_hiss", 1), 0.0))
    tell.do(RefundSeparation("job_hiss", "the stems hiss"))
    tell.do(ask("job_stuck"), AbandonSeparation("job_stuck", "nobody can read this file"))
    tell.do(Pause("intake", "moving house", 600), Pause("model:four", "too slow today"))
    tell.do(Pause("projection:credits", "being looked at"), Resume("intake", "moved"))
    return tell.world


def unfinished() -> World:
    """What still waits: an upload, a probe, a job that is to be done anew."""
    tell = Teller("usr_cyd")
    tell.world.sign_up("usr_cyd")
    tell.world.ready_asset("usr_cyd", "ast_air")
    for asset in ("ast_begun", "ast_sent"):
        tell.do(InitializeUpload("usr_cyd", asset, "b.flac", "", 1000, 8 << 20, "k", "up"))
    tell.do(CompleteUpload("usr_cyd", "ast_sent", 1001, "etag"))
    tell.do(RequestSeparation("usr_cyd", "job_again", "ast_air", "four", "wav", ("drums",)))
    tell.do(StartSeparation("job_again", "w:1"))
    tell.do(FailSeparation("job_again", 1, "separate", "ffmpeg_failed", "It broke."))
    tell.do(RequeueSeparation("job_again", "repaired"))
    return tell.world


def payments() -> World:
    """Purchases: paid, given back in part, contested and won; a debt, and adjustments."""
    tell = Teller("usr_dee")
    tell.world.sign_up("usr_dee")
    tell.world.ready_asset("usr_dee", "ast_long", seconds=500)
    pack = Pack("hour", "1 hour", 1000, 390, "eur", expires_days=365)
    for name in ("one", "two", "late", "odd"):
        tell.do(OpenCheckout("usr_dee", f"pur_{name}", f"cs_{name}", pack))

    def payment(name: str, amount: int = 390) -> Payment:
        return Payment(f"cs_{name}", "usr_dee", f"pi_{name}", amount, "eur")

    tell.do(RecordPayment("pur_one", payment("one")), RecordPending("pur_two", payment("two")))
    tell.do(RecordPayment("pur_two", payment("two")), RecordLapse("pur_late", "cs_late", "expired"))
    tell.do(RecordPayment("pur_odd", payment("odd", 1)))
    tell.do(RecordRefund("pur_one", 100), NoteRefund("pur_one", "re_1", Claim(100, "succeeded")))
    for job in ("job_a", "job_b", "job_c", "job_d"):
        tell.do(RequestSeparation("usr_dee", job, "ast_long", "two", "flac"))
    tell.do(NoteDispute("pur_two", "dp_1", Claim(390, "needs_response")))
    tell.do(CancelSeparation("usr_dee", "job_d"))
    tell.do(NoteDispute("pur_two", "dp_1", Claim(390, "won")))
    tell.do(AdjustCredits("usr_dee", 50, "for the trouble", "promotion", priority=10))
    tell.do(AdjustCredits("usr_dee", -20, "given twice"))
    return tell.world


def resumed() -> World:
    """Stems kept across attempts, a zip, a job that was given an earlier one's stems."""
    tell = Teller("usr_eve")
    tell.world.sign_up("usr_eve")
    upload = ("usr_eve", "ast_twin", "c.flac", "", 1000, 8 << 20, "k", "up")
    tell.do(InitializeUpload(*upload), CompleteUpload("usr_eve", "ast_twin", 1000, "etag"))
    audio = Audio(44_100 * 1_000, 44_100, 2)
    tell.do(RecordProbe("ast_twin", audio, "flac", "flac", "d" * 64))
    tell.do(AdjustCredits("usr_eve", 2000, "for a long recording", "promotion"))

    def ask(job: str, **more: Any) -> Command:
        return RequestSeparation("usr_eve", job, "ast_twin", "two", "flac", bundle=True, **more)

    tell.do(ask("job_first"), StartSeparation("job_first", "w:1"))
    tell.do(RecordStage("job_first", 1, "download", 5200, tries=3))
    for attempt, file in zip((1, 2), tell.stems("job_first", 1), strict=True):
        stem = msgspec.structs.replace(
            as_stored(file, None), samples=44_100_000, over=17, silence=0.25, preview_bytes=60_000
        )
        tell.do(StoreStem("job_first", attempt, stem, -0.5, -128.5))
        tell.do(StartSeparation("job_first", "w:2"))
    zipped = StemFile("bundle", "user_usr_eve/jobs/job_first/output/2/stems.zip", 9**7, "zip")
    tell.do(CompleteSeparation("job_first", 3, tell.stems("job_first", 1), -0.5, zipped))
    tell.do(TidyMedia("job_first", 2))
    catch_up(RESULTS_VIEW, "job-job_first", tell.world.reading)
    tell.do(ask("job_second"), ask("job_anew", reuse=False))
    return tell.world


def handed_back() -> World:
    """A worker that had to go, and the one that went on."""
    tell = Teller("usr_fay")
    tell.world.sign_up("usr_fay")
    tell.world.ready_asset("usr_fay", "ast_wave")
    tell.do(RequestSeparation("usr_fay", "job_moved", "ast_wave", "two", "flac"))
    tell.do(StartSeparation("job_moved", "w:1"), HandBack("job_moved", 1))
    tell.do(StartSeparation("job_moved", "w:2"))
    return tell.world


def people() -> World:
    """Keys and endpoints of a person, who is erased and comes back."""
    tell = Teller("usr_gus")
    tell.world.sign_up("usr_gus")
    later = tell.world.clock.now() + 3_600_000
    tell.do(
        CreateApiKey("usr_gus", "key_one", "my script", "d" * 64, ("write", "read"), later),
        CreateApiKey("usr_gus", "key_two", "another", "e" * 64, ("billing",)),
        RevokeApiKey("usr_gus", "key_one"),
        AddWebhookEndpoint("usr_gus", "whk_one", "https://a.example/", "whsec_a", ("job.failed",)),
        AddWebhookEndpoint("usr_gus", "whk_two", "https://b.example/", "whsec_b"),
        ChangeWebhookEndpoint("usr_gus", "whk_one", types=()),
        RotateWebhookSecret("usr_gus", "whk_one", "whsec_c", 3_600_000),
        DisableWebhookEndpoint("usr_gus", "whk_one", "failing"),
        EnableWebhookEndpoint("usr_gus", "whk_one"),
        RemoveWebhookEndpoint("usr_gus", "whk_two"),
        EraseUser("usr_gus", "asked for it"),
        FinishErasure("usr_gus", 7),
        SignUp("usr_gus", "issuer", "gus@example.org"),
    )
    return tell.world


def library() -> World:
    """Names and tags, and media that go or come back."""
    tell = Teller("usr_hal")
    tell.world.sign_up("usr_hal")
    for asset in ("ast_kept", "ast_lost"):
        tell.world.ready_asset("usr_hal", asset)
    for job in ("job_kept", "job_lost"):
        tell.do(RequestSeparation("usr_hal", job, "ast_kept", "two", "flac"))
        tell.do(StartSeparation(job, "w:1"))
        tell.do(CompleteSeparation(job, 1, tell.stems(job, 1), 0.0), TidyMedia(job, 0))
    tell.do(
        RenameAsset("usr_hal", "ast_kept", "Lied.mp3"),
        TagAsset("usr_hal", "ast_kept", ("leise", "alt")),
        DeleteAsset("usr_hal", "ast_kept"), RestoreAsset("usr_hal", "ast_kept"),
        DeleteJob("usr_hal", "job_kept"), RestoreJob("usr_hal", "job_kept"),
        DeleteJob("usr_hal", "job_lost"), DeleteAsset("usr_hal", "ast_lost"),
    )  # fmt: skip
    tell.world.clock.time += 31 * DAY
    tell.do(PurgeJob("job_lost", 2), PurgeAsset("ast_lost", 1))
    return tell.world


def acts() -> World:
    """What operators did to rows and messages."""
    tell = Teller("usr_ida")
    tell.do(
        NoteAct(ROLL_BACK, "projection:jobs@2", "rows went wrong with the deploy"),
        NoteAct(REDRIVE, "jobs/job-job_first", "the code takes it now"),
    )
    return tell.world


def forgotten() -> World:
    """A person with everything, who is forgotten, and comes back."""
    tell = Teller("usr_ida")
    tell.world.sign_up("usr_ida")
    tell.world.ready_asset("usr_ida", "ast_ida")
    upload = ("usr_ida", "ast_open", "b.mp3", "audio/mpeg", 1000, 8 << 20, "k", "up")
    pack = Pack("hour", "1 hour", 3600, 390, "eur")
    paid = Payment("cs_ida", "usr_ida", "pi_ida", 390, "eur")
    tell.do(
        InitializeUpload(*upload),
        RequestSeparation("usr_ida", "job_ida", "ast_ida", "two", "flac"),
        OpenCheckout("usr_ida", "pur_ida", "cs_ida", pack), RecordPayment("pur_ida", paid),
        EraseUser("usr_ida", "asked for it"),
        EraseJob("usr_ida", "job_ida"), EraseAsset("usr_ida", "ast_ida"),
        EraseAsset("usr_ida", "ast_open"), ErasePurchase("usr_ida", "pur_ida"),
        EraseAccount("usr_ida"), FinishErasure("usr_ida", 3),
        RecordRefund("pur_ida", 390),
        SignUp("usr_ida", "development", "ida@example.org"),
        AdjustCredits("usr_ida", 20, "welcome back"),
    )  # fmt: skip
    return tell.world


# A file is never written again; see the package.
CHAPTERS: dict[str, Callable[[], World]] = {
    "2026-11-resumed": resumed,
    "2026-11-handed-back": handed_back,
    "2026-11-first": first_release,
    "2026-11-operators": operators,
    "2026-11-unfinished": unfinished,
    "2026-11-payments": payments,
    "2026-11-people": people,
    "2026-11-library": library,
    "2026-11-acts": acts,
    "2026-11-forgotten": forgotten,
}
