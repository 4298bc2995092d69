"""A dispute over the hold of who takes part in a deal, over HTTP: who reads it by which name, its steps, and its end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.record import CommandRecorded
from chassis.testing.projections import assert_repeatable
from chassis.verify import verify_decisions
from contracts.registration import DisputeDecided, DisputeOpened, ParticipantLeft, ProtectionExtended
from contracts.shared import AttentionRaised
from tests.registration.service import ADMIN, DESK, START, Running, activated, started
from tests.registration.test_taking_part import HOST, INVITED, OTHER, approved, invited

ARBITER = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
SECOND = replace(ARBITER, subject="arbiter-2")
FABRIKAM = {"name": "Fabrikam Analytics", "country": "DE", "website": "fabrikam.com"}
MAIL = {"kind": "mail", "dated_on": "2026-03-03", "sha256": "a" * 64}


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


async def collided(registration: Running) -> tuple[dict[str, Any], dict[str, Any], str]:
    """P1's deal with p2 as its distributor, p3's deal as a distributor on what turns out to be the same customer."""
    rival = await approved(registration, "p3", role="distribute", customer=FABRIKAM)
    registration.clock.set(START + timedelta(minutes=1))
    deal = await approved(registration)
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")
    body = {"absorbed": rival["account_id"], "reason": "Fabrikam trades as Contoso."}
    answer = await registration.post(DESK, f"/accounts/{deal['account_id']}/merge", body)
    assert answer.json()["contested"] == sorted([named, rival["registration_id"]]), answer.text
    return deal, rival, named


async def test_each_side_reads_the_dispute_by_its_own_name_and_nothing_of_the_other(registration: Running) -> None:
    deal, rival, named = await collided(registration)
    mine, theirs = deal["registration_id"], rival["registration_id"]

    whole = (await registration.get(DESK, f"/disputes/{named}")).json()
    own = await registration.get(INVITED, f"/disputes/{named}")
    held = await registration.get(OTHER, f"/disputes/{theirs}")

    assert (whole["dispute_id"], whole["registration_id"], whole["invitation_id"]) == (named, mine, named)
    assert (whole["partner_id"], whole["against"], whole["stage"]) == ("p2", [theirs], "opened")
    assert [(one["partner_id"], one["registration_id"]) for one in whole["holders"]] == [("p3", theirs)]
    told = own.json()
    assert (told["dispute_id"], told["side"], told["invitation_id"], told["kind"]) == (
        *(named, "filer", named, "wrong_match"),
    )
    assert [word for word in ("p3", theirs, rival["number"], "Fabrikam", "against") if word in own.text] == []
    told = held.json()
    assert (told["dispute_id"], told["side"], told["registration_id"]) == (theirs, "holder", theirs)
    assert [word for word in ("p1", "p2", mine, named, deal["number"], "ontoso") if word in held.text] == []


async def test_who_is_on_no_side_of_it_does_not_find_it(registration: Running) -> None:
    deal, rival, named = await collided(registration)

    for who, name in (
        (HOST, named),
        (HOST, deal["registration_id"]),
        (OTHER, named),
        (INVITED, rival["registration_id"]),
    ):
        assert (await registration.get(who, f"/disputes/{name}")).status_code == 404
    assert (await registration.get(HOST, "/disputes")).json()["items"] == []
    shown = {"evidence": [MAIL]}
    for who in (HOST, OTHER):
        assert (await registration.post(who, f"/disputes/{named}/show-evidence", shown)).status_code == 404


async def test_the_vendor_finds_the_disputes_of_a_deal_on_either_side(registration: Running) -> None:
    deal, rival, named = await collided(registration)

    for one in (deal, rival):
        found = (await registration.get(DESK, "/disputes", registration_id=one["registration_id"])).json()["items"]
        assert [item["dispute_id"] for item in found] == [named]
    assert (await registration.get(DESK, "/disputes", registration_id="another")).json()["items"] == []
    own = await registration.get(OTHER, "/disputes", registration_id=rival["registration_id"])
    assert [item["dispute_id"] for item in own.json()["items"]] == [rival["registration_id"]]
    assert (await registration.get(OTHER, "/disputes", registration_id=deal["registration_id"])).status_code == 404


async def test_the_vendor_alone_reads_who_may_not_decide_it_any_more(registration: Running) -> None:
    _, rival, named = await collided(registration)
    taken_part = (await registration.get(DESK, f"/disputes/{named}")).json()["barred"]
    await registration.post(ARBITER, f"/disputes/{named}/decide", {"outcome": "upheld", "reason": "Earlier."})

    whole = (await registration.get(DESK, f"/disputes/{named}")).json()
    assert whole["barred"] == [*taken_part, "arbiter-1"]
    assert "barred" not in (await registration.get(INVITED, f"/disputes/{named}")).json()
    assert "barred" not in (await registration.get(OTHER, f"/disputes/{rival['registration_id']}")).json()


async def test_a_participant_that_loses_leaves_by_the_clock_after_an_appeal_and_its_deal_goes_on(
    registration: Running,
) -> None:
    deal, rival, named = await collided(registration)
    path = f"/disputes/{named}"
    await registration.post(DESK, f"{path}/request-evidence", {"question": "Since when do you deliver there?"})
    asked = (await registration.get(INVITED, path)).json()
    shown = await registration.post(INVITED, f"{path}/show-evidence", {"evidence": [MAIL]})
    unfit = await registration.post(DESK, f"{path}/decide", {"outcome": "upheld", "reason": "Earlier."})
    first = await registration.post(ARBITER, f"{path}/decide", {"outcome": "overturned", "reason": "It delivers."})
    holder = f"/disputes/{rival['registration_id']}"
    appealed = await registration.post(OTHER, f"{holder}/appeal", {"statement": "We delivered before."})
    second = await registration.post(SECOND, f"{path}/decide", {"outcome": "upheld", "reason": "It did."})
    await registration.until_heard(ParticipantLeft)
    await registration.settle()

    assert asked["question"] == "Since when do you deliver there?"
    assert (shown.json(), unfit.status_code) == ({**shown.json(), "dispute_id": named, "stage": "under_review"}, 403)
    assert (first.json()["dispute_id"], first.json()["stage"]) == (named, "decided")
    assert (appealed.json()["dispute_id"], appealed.json()["stage"]) == (rival["registration_id"], "appealed")
    assert second.json()["stage"] == "decided"
    left = (await registration.get(INVITED, f"/invitations/{named}")).json()
    assert (left["status"], left["reason_code"]) == ("left", "dispute-overturned")
    final = (await registration.get(INVITED, path)).json()
    assert (final["stage"], final["outcome"], final["reason"]) == ("final", "upheld", "It did.")
    shown = (await registration.get(HOST, f"/deals/{deal['registration_id']}")).json()
    assert (shown["board"]["status"], shown["participants"]) == ("approved", [])
    kept = (await registration.get(OTHER, f"/deals/{rival['registration_id']}")).json()
    assert kept["board"]["status"] == "approved"
    [longer] = await registration.told(ProtectionExtended)
    assert longer.registration_id == rival["registration_id"]


async def test_what_was_said_in_the_dispute_is_forgotten_with_the_deal(registration: Running) -> None:
    deal, _, named = await collided(registration)
    question = {"question": "Did Erika order from you?"}
    await registration.post(DESK, f"/disputes/{named}/request-evidence", question)
    assert (await registration.get(INVITED, f"/disputes/{named}")).json()["question"] == question["question"]
    withdrawn = {"reason_code": "no-longer-pursued"}
    assert (await registration.post(HOST, f"/deals/{deal['registration_id']}/withdraw", withdrawn)).is_success

    assert (await registration.post(ADMIN, f"/deals/{deal['registration_id']}/forget")).json() == {"forgotten": True}

    assert (await registration.get(INVITED, f"/disputes/{named}")).json()["question"] is None


async def test_others_hear_of_the_dispute_by_the_participant_and_its_invitation(registration: Running) -> None:
    deal, _, named = await collided(registration)
    registration.clock.set(START + timedelta(days=10))
    await registration.until_heard(AttentionRaised, topic="dispute")
    await registration.post(ARBITER, f"/disputes/{named}/decide", {"outcome": "upheld", "reason": "Earlier."})
    registration.clock.set(START + timedelta(days=40))
    await registration.until_heard(DisputeDecided, final=True)
    await registration.settle()

    [opened] = await registration.told(DisputeOpened)
    assert (opened.registration_id, opened.partner_id, opened.invitation_id) == (deal["registration_id"], "p2", named)
    [raised] = [one for one in await registration.told(AttentionRaised) if one.topic == "dispute"]
    assert (raised.attention_id, raised.subject) == (f"{named}.dispute", deal["registration_id"])
    told = await registration.told(DisputeDecided)
    assert [(one.invitation_id, one.final) for one in told] == [(named, False), (named, True)]
    assert [one.for_partner("p1") for one in told] == [None, None]
    recorded = await registration.service.store.feed(0, 1_000)
    [left] = [one.id for one in recorded if one.type.startswith("registration.ParticipantLeft")]
    why = (await registration.get(INVITED, f"/why/{left}")).json()
    assert [one["code"] for one in why["reasons"]] == ["dispute-overturned"]
    for projection in registration.service.projections:
        assert_repeatable(projection, [one.seen("own") for one in recorded if one.type != CommandRecorded.type])
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()
