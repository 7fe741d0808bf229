"""What an attacker or a broken program did to the table is found, and named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from commands import StartSeparation
from domain.credits import (
    CREDITS,
    CreditsGranted,
    CreditsReserved,
    CreditsRevoked,
    CreditState,
)
from domain.draws import Draw
from domain.job import JOB
from domain.purchase import PURCHASE
from handlers.bench import ledger
from infra.bootstrap import Application
from projections.audit.statement import statement
from tests.handlers.cli.forging import ACCOUNT, add, commits, overwrite, remove, some_money
from tests.handlers.cli.operators import Done, do, splitsound

Shell = Callable[..., Done]
Found = list[tuple[str, int, str]]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """A store with jobs, purchases and a promotion."""
    some_money(application)
    return lambda *arguments: splitsound(capsys, *arguments)


def found(done: Done) -> Found:
    return [(each["stream"], each["version"], each["kind"]) for each in done.data["findings"]]


def test_an_untouched_store_is_whole(shell: Shell) -> None:
    done = shell("audit", "verify")
    assert done.code == 0, done.out + done.err
    assert "the histories are whole and add up" in done.out
    assert "splitsound audit digest" in done.out, "no digest yet: it says how to take one"
    plain = shell("audit", "verify", "--digest", "none", "--json").data
    assert (plain["right"], plain["findings"], plain["whole_store"]) == (True, [], True)
    assert plain["sums"]["accounts"] == 3
    assert shell("audit", "digest").code == 0
    after = shell("audit", "verify", "--json").data
    assert after["digest"]["streams"] == after["streams"]


def test_an_edited_commit_is_named(shell: Shell, application: Application) -> None:
    second = commits(application)[1]
    edited = str(second.events).replace('"amount":10', '"amount":1')
    assert edited != second.events
    overwrite(application, second, events=edited)
    done = shell("audit", "verify", "--json")
    assert done.code == 1
    assert (ACCOUNT, second.first, "chain") in found(done)
    # The event breaks the law too; its transaction's other half is no news.
    assert {kind for _, _, kind in found(done)} <= {"chain", "law", "snapshot"}
    screen = shell("audit", "verify")
    assert re.search(rf"{ACCOUNT} +{second.first} +chain +its content was changed", screen.out)


def test_all_findings_of_all_streams_are_listed(shell: Shell, application: Application) -> None:
    for user in ("usr_0", "usr_1", "usr_2"):
        for commit in commits(application, CREDITS.stream(user))[:2]:
            overwrite(application, commit, actor="nobody")
    done = shell("audit", "verify", "--json")
    chain = [(s, v) for s, v, kind in found(done) if kind == "chain"]
    expected = [
        (CREDITS.stream(u), c.first)
        for u in ("usr_0", "usr_1", "usr_2")
        for c in commits(application, CREDITS.stream(u))[:2]
    ]
    assert chain == expected


def test_a_removed_commit_is_named(shell: Shell, application: Application) -> None:
    third = commits(application)[2]
    remove(application, third)
    done = shell("audit", "verify", "--json")
    (chain,) = [f for f in done.data["findings"] if f["kind"] == "chain"]
    assert (chain["stream"], chain["version"]) == (ACCOUNT, third.last + 1)
    assert f"expected version {third.first}" in chain["what"]
    assert shell("audit", "verify", JOB.stream("job_1"), "--digest", "none").code == 0


def test_reordered_commits_are_named(shell: Shell, application: Application) -> None:
    stream = JOB.stream("job_0")
    do(application, StartSeparation("job_0", "w:1"))
    do(application, StartSeparation("job_0", "w:2"))
    _, one, two = commits(application, stream)
    overwrite(application, two, first=one.first, last=one.last)
    overwrite(application, one, first=two.first, last=two.last)
    assert [f for f in found(shell("audit", "verify", "--json")) if f[2] == "chain"] == [
        (stream, 2, "chain"), (stream, 3, "chain"),
    ]  # fmt: skip


def test_a_lying_snapshot_is_named(shell: Shell, application: Application) -> None:
    while not (told := [c for c in commits(application) if c.snapshot]):
        add_a_grant(application)
        overwrite_with_snapshot(application)
    lie = str(told[-1].snapshot).replace('"granted":', '"granted":9')
    overwrite(application, told[-1], snapshot=lie)
    done = shell("audit", "verify", "--json")
    (finding,) = done.data["findings"]
    assert (finding["stream"], finding["kind"]) == (ACCOUNT, "snapshot")
    assert "granted is 9" in finding["what"]
    overwrite(application, told[-1], snapshot='{"schema":"of-another-time","state":{}}')
    assert shell("audit", "verify", "--digest", "none").code == 0


def add_a_grant(application: Application) -> None:
    number = len(commits(application))
    add(application, [CreditsGranted("usr_0", f"grt_more{number}", "promotion", 1)])


def overwrite_with_snapshot(application: Application) -> None:
    last = commits(application)[-1]
    state = application.store.load(CREDITS, ACCOUNT).state
    overwrite(application, last, snapshot=CREDITS.snapshot(state))


def test_half_a_transaction_that_is_gone_is_named(shell: Shell, application: Application) -> None:
    stream = CREDITS.stream("usr_2")
    last = commits(application, stream)[-1]
    assert [p.stream for p in last.peers] == [JOB.stream("job_2")]
    remove(application, last)
    done = shell("audit", "verify", "--json")
    assert found(done) == [(JOB.stream("job_2"), 1, "peer")]
    assert f"{stream} version {last.first}, is missing" in done.data["findings"][0]["what"]
    # Of one stream alone, too.
    assert found(shell("audit", "verify", "job_2", "--json")) == [(JOB.stream("job_2"), 1, "peer")]


def test_half_a_transaction_that_says_something_else_is_named(
    shell: Shell, application: Application
) -> None:
    stream = CREDITS.stream("usr_2")
    last = commits(application, stream)[-1]
    overwrite(application, msgspec.structs.replace(last, actor="x").sealed(last.peers))
    done = shell("audit", "verify", "--json")
    assert {f for f in found(done) if f[2] != "peer"} == set()
    assert found(done)


def test_a_cut_off_tail_shows_against_the_digest(shell: Shell, application: Application) -> None:
    assert shell("audit", "digest").code == 0
    stream = PURCHASE.stream("pur_two")
    last = commits(application, stream)[-1]
    remove(application, last)
    done = shell("audit", "verify", "--json")
    assert (stream, last.first, "digest") in found(done)
    only = shell("audit", "verify", stream, "--json")
    assert (stream, last.first, "digest") in found(only)
    assert shell("audit", "verify", "--digest", "digests/no-such", "--json").code != 0


def test_the_digests_before_the_newest_one_are_followed(
    shell: Shell, application: Application
) -> None:
    first = shell("audit", "digest", "--json").data["name"]
    assert shell("audit", "digest").code == 0
    whole = shell("audit", "verify")
    assert "1 digest before it, each the one that the next names" in " ".join(whole.out.split())
    s3, bucket = application.client("s3"), application.settings.audit_bucket
    for version in s3.list_object_versions(Bucket=bucket, Prefix=first)["Versions"]:
        s3.delete_object(
            Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"],
            BypassGovernanceRetention=True,
        )  # fmt: skip
    done = shell("audit", "verify", "--json")
    assert (done.code, found(done)) == (1, [("digests", 0, "digest")])
    assert first in done.data["findings"][0]["what"]


def test_an_event_that_breaks_the_law_is_named(shell: Shell, application: Application) -> None:
    forged = add(
        application, [CreditsReserved("usr_0", "job_x", 100, (Draw(first_grant(application), 50),))]
    )
    for command in ("check", "verify"):
        done = shell("audit", command, "--json")
        assert done.code == 1
        assert found(done) == [(ACCOUNT, forged.first, "law")]
        assert "by -50" in done.data["findings"][0]["what"]
    assert shell("audit", "check", "usr_0").code == 1
    assert shell("audit", "check", "usr_1").code == 0
    assert shell("credits", "usr_0").code == 1


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (CreditsReserved("usr_0", "job_x", 9**9, (Draw("", 9**9),)), "is below zero"),
        (CreditsReserved("usr_0", "job_x", 1, (Draw("grt_none", 1),)), "does not fit"),
        (CreditsRevoked("usr_0", "dispute", 5, (), 5), "has a debt of 5 and"),
    ],
)
def test_other_ways_to_break_it(
    shell: Shell, application: Application, event: Any, words: str
) -> None:
    if event.draws and not event.draws[0].grant_id:
        draws = (Draw(first_grant(application), event.amount),)
        event = msgspec.structs.replace(event, draws=draws)
    forged = add(application, [event])
    done = shell("audit", "check", "--json")
    assert found(done) == [(ACCOUNT, forged.first, "law")]
    assert words in done.data["findings"][0]["what"]


def first_grant(application: Application) -> str:
    state: CreditState = application.store.load(CREDITS, ACCOUNT).state
    return next(iter(state.grants))


def test_credits_that_nobody_paid_for_are_named(shell: Shell, application: Application) -> None:
    bought = CreditsGranted("usr_2", "grt_x", "purchase", 500, purchase_id="pur_one")
    add(application, [bought], CREDITS.stream("usr_2"))
    done = shell("audit", "check", "--json")
    assert found(done) == [(PURCHASE.stream("pur_one"), 0, "purchase")]
    assert "credits-usr_2 was granted 500" in done.data["findings"][0]["what"]
    assert "they do NOT agree" in shell("audit", "check").out


def test_an_unknown_event_is_named_and_the_others_go_on(
    shell: Shell, application: Application
) -> None:
    stream = JOB.stream("job_1")
    odd = add(application, '[{"type":"SeparationSang","song":"la"}]', stream)
    remove(application, commits(application)[2])
    done = shell("audit", "verify", "--json")
    assert (stream, odd.first, "unreadable") in found(done)
    assert ACCOUNT in {s for s, _, kind in found(done) if kind == "chain"}


def test_streams_of_others_are_chained_and_not_folded(
    shell: Shell, application: Application
) -> None:
    add(application, '[{"type":"Sang","song":"la"}]', "song-1")
    done = shell("audit", "verify", "--json")
    assert (done.code, done.data["not_folded"]) == (0, {"song": 1})


def test_a_clock_that_goes_back_is_named_and_revives_nothing(
    shell: Shell, application: Application
) -> None:
    last = commits(application)[-1]
    over = CreditsGranted("usr_0", "grt_over", "promotion", 70, expires=last.t + 10)
    add(application, [over], later=5)
    add(application, [CreditsGranted("usr_0", "grt_z", "promotion", 1)], later=-60_000)
    done = shell("audit", "verify", "--json")
    (finding,) = done.data["findings"]
    assert "older than the commit before it" in finding["what"]
    assert shell("credits", "usr_0").code == 1
    assert statement(commits(application)[:-1], last.t + 10).spendable == (
        statement(commits(application)[:-2], last.t).spendable
    )


def test_sums_and_money(shell: Shell) -> None:
    sums = shell("audit", "check", "--json").data
    whole = sums["all"]
    places = ("available", "reserved", "captured", "expired", "taken_back", "settled")
    assert whole["granted"] == sum(whole[name] for name in places)
    assert list(sums["credits"]) == ["signup", "purchase", "promotion", "reinstatement"]
    assert sums["money"]["eur"] == {"purchases": 2, "paid": 780, "taken_back": 100, "kept": 680}
    assert sums["purchases"] == {"sold": 2000, "granted": 2000, "due": 256, "revoked": 256}
    screen = shell("audit", "check").out
    assert "7.80" in screen
    assert "every credit is accounted for, at every version" in screen


@pytest.mark.long
def test_an_account_of_twenty_thousand_events(shell: Shell, application: Application) -> None:
    ledger.store_account(application.store, "usr_long", 20_000)
    told = shell("audit", "replay", "usr_long", "--json").data
    assert (len(told["lines"]), told["wrong"]) == (20_000, [])
    odd = application.store.load(CREDITS, CREDITS.stream("usr_long"))
    assert (told["available"], told["reserved"]) == (odd.state.left, odd.state.reserved)
    verified = shell("audit", "verify", CREDITS.stream("usr_long"), "--json").data
    assert (verified["events"], verified["findings"]) == (20_000, [])
    assert verified["snapshots"] > 1000


def test_who_is_unknown_is_told(shell: Shell) -> None:
    for command in ("check", "replay"):
        assert "has no credit account" in shell("audit", command, "usr_none").err
    assert "There is no stream" in shell("audit", "verify", "job-none").err


def test_replay_tells_everything(shell: Shell, application: Application) -> None:
    told = shell("audit", "replay", "usr_0", "--json").data
    last = told["lines"][-1]
    assert last["hash"] == commits(application)[-1].hash.hex()
    assert {"cmd", "cause", "corr", "actor"} <= last.keys()
    granted = told["available"] + told["reserved"] + told["captured"] + told["expired"]
    assert told["granted"] == granted + told["revoked"] - told["debt"]
    then = told["lines"][2]["time"]
    early = shell("audit", "replay", "usr_0", "--as-of", then, "--json").data
    assert early["lines"] == told["lines"][: len(early["lines"])]
    screen = shell("audit", "replay", "usr_0").out
    assert "holds at every version" in screen
    assert "lasts until" in screen
