"""The review over HTTP: chains, the clock's deadlines, displacing, revoking, and what each side hears of it."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.http import opened_cursor, signed_cursor
from chassis.identity import Principal
from contracts.attribution import DealStageChanged
from contracts.registration import DealRevoked, DisputeDecided, ProtectionEnded, ProtectionExtended, ReviewOverdue
from contracts.shared import AttentionCleared, AttentionRaised
from tests.registration.service import ADMIN, DESK, FINANCE, TENANT, Running, activated, deal, seller, started

OVERRIDER = replace(DESK, subject="desk-2", duties=("override",))
OTHER_OVERRIDER = replace(OVERRIDER, subject="desk-3")
LIMIT = [{"amount": "50000.00", "currency": "EUR"}]
LETTER = {"kind": "letter", "dated_on": "2026-03-01", "sha256": "b" * 64}


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules(approval=[{"role": "deal_desk"}, {"order": 2, "role": "finance", "above": LIMIT}])
        yield asked


async def heard(registration: Running, kind: type[Any]) -> list[Any]:
    recorded = await registration.service.store.feed(0, 1_000)
    told = [registration.service.blueprint.publish(one.seen("registration")) for one in recorded]
    return [event for event in told if isinstance(event, kind)]


async def test_publishing_rules_writes_the_dates_of_holidays_out_and_deadlines_pass_over_them(
    registration: Running,
) -> None:
    hours = {"holidays": ["DE-BE"], "closed_on": ["2026-12-24"]}
    await registration.publish_rules(zone="Europe/Berlin", hours=hours)
    registration.clock.forward(timedelta(days=30))

    deal = await registration.register("p1")

    [book] = (await registration.get(DESK, "/rulebooks", kind="deal_rules")).json()["items"]
    written = book["versions"][-1]["body"]["hours"]
    assert written["closed_on"] == ["2026-12-24"]
    assert {"2026-01-01", "2026-03-08", "2026-04-03", "2026-04-06", "2031-12-25"} <= set(written["holiday_dates"])
    board = (await registration.get(DESK, f"/deals/{deal['registration_id']}")).json()["board"]
    assert board["due_at"] == "2026-04-09T10:00:00Z", "three days from the Thursday before Easter"
    for place in ("XX", "DE-XX", "../x", ""):
        draft = {"rulebook_id": "default", "kind": "deal_rules", "body": {"hours": {"holidays": [place]}}}
        refused = await registration.post(ADMIN, "/rulebooks", draft)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown-calendar")
        forbidden = await registration.post(seller("p1"), "/rulebooks", draft)
        assert (forbidden.status_code, forbidden.json()["slug"]) == (403, "forbidden")
    many = {**draft, "body": {"hours": {"holidays": ["XX"] * 11}}}
    refused = await registration.post(ADMIN, "/rulebooks", many)
    assert (refused.status_code, "10 places at most" in refused.text) == (422, True), refused.text


async def test_each_open_step_asks_its_own_role_and_the_last_one_protects(registration: Running) -> None:
    first = await registration.register("p1", amount={"amount": "60000.00", "currency": "EUR"})
    path = f"/deals/{first['registration_id']}"

    too_early = await registration.post(FINANCE, f"{path}/approve")
    desk = await registration.post(DESK, f"{path}/approve")
    waiting = (await registration.get(DESK, path)).json()["board"]
    finance = await registration.post(FINANCE, f"{path}/approve")

    assert (too_early.status_code, too_early.json()["roles"]) == (403, ["deal_desk"])
    assert (desk.status_code, desk.json()["status"], desk.json()["open_steps"]) == (200, "in_review", [1])
    assert waiting["steps"] == [{"step": 1, "role": "finance"}]
    assert finance.json()["status"] == "approved"
    raised = [(one.roles, one.subject) for one in await heard(registration, AttentionRaised)]
    assert raised == [(("deal_desk",), first["registration_id"]), (("finance",), first["registration_id"])]
    assert len(await heard(registration, AttentionCleared)) == 2
    own = (await registration.get(seller("p1"), path)).json()
    assert not [step for step in own["history"] if step["event"].startswith("Step")], "the chain is the vendor's own"


async def test_a_late_review_is_told_by_the_clock(registration: Running) -> None:
    first = await registration.register("p1")
    board = (await registration.get(DESK, f"/deals/{first['registration_id']}")).json()["board"]

    registration.clock.set(datetime(2026, 3, 6, 10, 1, tzinfo=UTC))
    await registration.until_heard(ReviewOverdue)

    assert board["due_at"] == "2026-03-06T10:00:00Z"
    [told] = await heard(registration, ReviewOverdue)
    assert (told.action, told.roles, told.minutes) == ("escalated", ("admin",), 1)


async def test_a_return_without_an_answer_is_withdrawn_by_the_clock(registration: Running) -> None:
    first = await registration.register("p1")
    path = f"/deals/{first['registration_id']}"
    await registration.post(DESK, f"{path}/return", {"fields": ["amount"], "message": "Too much?"})

    registration.clock.set(datetime(2026, 3, 24, 10, 0, tzinfo=UTC))

    found = await registration.until(first["registration_id"], "withdrawn")
    assert found["history"][-1]["event"] == "DealWithdrawn"


async def test_the_customers_choice_displaces_a_holder_in_one_commit(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2", evidence=[LETTER])
    path = f"/deals/{second['registration_id']}/approve"

    alone = await registration.post(OVERRIDER, path, {"displace": True})
    both = await registration.post(OTHER_OVERRIDER, path, {"displace": True})
    loser = await registration.get(seller("p1"), f"/deals/{first['registration_id']}")

    assert (second["status"], alone.json()["status"], both.json()["status"]) == ("waiting", "waiting", "approved")
    assert loser.json()["board"]["status"] == "revoked"
    [revoked] = await heard(registration, DealRevoked)
    assert (revoked.partner_id, revoked.reason_codes) == ("p1", ("customer-override",))
    assert not [word for word in ("p2", second["registration_id"], second["number"]) if word in loser.text]
    recorded = await registration.service.store.feed(0, 1_000)
    commits = {one.command_id for one in recorded if one.type.split(".")[1] in ("DealRevoked", "DealApproved")}
    assert len(commits) == 2, "the first approval, and one commit for both"


async def test_two_people_revoke(registration: Running) -> None:
    first = await registration.register("p1")
    path = f"/deals/{first['registration_id']}"
    await registration.post(DESK, f"{path}/approve")
    asked = {"reason_code": "misstated", "evidence": [LETTER]}

    assert (await registration.post(DESK, f"{path}/revoke", asked)).json()["status"] == "approved"
    assert (await registration.post(OVERRIDER, f"{path}/revoke", asked)).json()["status"] == "revoked"
    assert (await registration.post(seller("p1"), f"{path}/revoke", asked)).status_code == 403


async def test_the_preview_says_whose_approval_a_deal_would_need(registration: Running) -> None:
    large = deal(amount={"amount": "60000.00", "currency": "EUR"})

    shown = (await registration.post(seller("p1"), "/deals/preview", large)).json()

    assert shown["steps"] == [{"order": 1, "approvals": 1}, {"order": 2, "approvals": 1}]


async def test_an_extension_is_asked_for_and_granted_by_silence(registration: Running) -> None:
    await registration.publish_rules(protection={"inactive_days": 0})
    first = await registration.register("p1")
    path = f"/deals/{first['registration_id']}"
    await registration.post(DESK, f"{path}/approve")
    registration.clock.set(datetime(2026, 5, 20, 10, 0, tzinfo=UTC))
    asked = await registration.post(seller("p1"), f"{path}/request-extension", {"evidence": [LETTER]})
    pending = (await registration.get(seller("p1"), path)).json()["extension"]

    registration.clock.set(datetime(2026, 6, 8, 17, 0, tzinfo=UTC))
    await registration.until_heard(ProtectionExtended)
    await registration.settle()
    extended = (await registration.get(seller("p1"), path)).json()

    assert asked.status_code == 200, asked.text
    assert pending == {"new_end": "2026-08-31T00:00:00Z", "answer_by": "2026-06-08T17:00:00Z"}
    assert extended["protection"]["end"] == "2026-08-31T00:00:00Z"
    assert (extended["board"]["status"], extended["extension"]) == ("approved", None)


async def test_an_idle_protection_is_warned_and_ended_by_the_clock_unless_the_sale_moves(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    registration.clock.set(datetime(2026, 4, 12, 10, 0, tzinfo=UTC))
    await registration.until_heard(AttentionRaised, topic="deal-inactive")
    moved = DealStageChanged(
        partner_ids=("p1",),
        opportunity_id="o1",
        registration_id=first["registration_id"],
        from_stage="prospect",
        to_stage="qualified",
        true_at=registration.clock.now(),
    )
    await registration.hear(moved)

    registration.clock.set(datetime(2026, 5, 20, 10, 0, tzinfo=UTC))
    await registration.until_heard(AttentionRaised, topic="deal-inactive", times=2)
    registration.clock.set(datetime(2026, 5, 27, 10, 0, tzinfo=UTC))

    ended = await registration.until(first["registration_id"], "expired")
    assert ended["history"][-1]["event"] == "ProtectionEnded"
    assert (await heard(registration, ProtectionEnded))[0].reason_code == "inactive"


async def test_a_dispute_goes_from_filing_to_one_final_commit_by_the_clock(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2")
    body = {"registration_id": second["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}

    filed = await registration.post(seller("p2"), "/disputes", body)
    path = f"/disputes/{second['registration_id']}"
    unfit = await registration.post(DESK, f"{path}/decide", {"outcome": "overturned", "reason": "Earlier."})
    decided = await registration.post(arbiter, f"{path}/decide", {"outcome": "overturned", "reason": "Earlier work."})
    seen = await registration.get(seller("p2"), path)
    registration.clock.set(datetime(2026, 3, 30, 10, 0, tzinfo=UTC))
    await registration.until(second["registration_id"], "approved")

    assert (filed.status_code, filed.json()["stage"]) == (201, "opened")
    assert unfit.status_code == 403
    assert decided.json()["stage"] == "decided"
    assert (seen.json()["statement"], seen.json()["reason"]) == ("We met in 2024.", "Earlier work.")
    assert not [word for word in ("p1", first["registration_id"], "against") if word in seen.text]
    assert (await registration.get(seller("p1"), path)).status_code == 404
    assert [(one.final, one.outcome) for one in await heard(registration, DisputeDecided)] == [
        (False, "overturned"),
        (True, "overturned"),
    ]
    assert (await registration.get(DESK, f"/deals/{first['registration_id']}")).json()["board"]["status"] == "revoked"


async def test_who_has_the_duty_arbiter_alone_reads_the_disputes_that_it_may_decide(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("marketing",), duties=("arbiter",))
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2")
    body = {"registration_id": second["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}
    await registration.post(seller("p2"), "/disputes", body)

    path = f"/disputes/{second['registration_id']}"
    listed, one = await registration.get(arbiter, "/disputes"), await registration.get(arbiter, path)
    others = await registration.get(replace(arbiter, duties=()), "/disputes")
    assert (listed.status_code, one.status_code, others.status_code) == (200, 200, 403)
    assert [it["statement"] for it in (*listed.json()["items"], one.json())] == ["We met in 2024."] * 2


async def test_disputes_are_found_by_stage_kind_and_day_and_who_filed_one_only_by_the_vendor(
    registration: Running,
) -> None:
    holder = await registration.register("p1")
    await registration.post(DESK, f"/deals/{holder['registration_id']}/approve")
    await registration.hear(activated("p3"))
    for partner, kind in (("p2", "earlier_work"), ("p3", "territory")):
        mine = await registration.register(partner)
        body = {"registration_id": mine["registration_id"], "kind": kind, "statement": "We met in 2024."}
        assert (await registration.post(seller(partner), "/disputes", body)).status_code == 201
        registration.clock.forward(timedelta(days=1))

    async def found(who: Principal = DESK, **query: Any) -> list[str]:
        answer = await registration.get(who, "/disputes", **query)
        assert answer.status_code == 200, answer.text
        return [one["kind"] for one in answer.json()["items"]]

    assert await found() == ["territory", "earlier_work"]
    assert await found(sort="due_at") == ["earlier_work", "territory"]
    assert await found(stage=["opened", "decided"]) == ["territory", "earlier_work"]
    assert await found(stage="decided") == []
    assert await found(kind="territory") == ["territory"]
    assert await found(partner_id="p2") == ["earlier_work"]
    assert await found(opened_from="2026-03-04") == ["territory"]
    assert await found(opened_before="2026-03-04") == ["earlier_work"]
    assert await found(seller("p1"), partner_id="p2") == ["territory", "earlier_work"], "it answers no question of who"
    assert await found(seller("p2"), kind="territory") == []


async def test_the_place_in_a_list_tells_nobody_of_another_partners_deal(registration: Running) -> None:
    holder = await registration.register("p1")
    await registration.post(DESK, f"/deals/{holder['registration_id']}/approve")
    await registration.hear(activated("p3"))
    filed = [await registration.register(partner) for partner in ("p2", "p3")]
    for partner, mine in zip(("p2", "p3"), filed, strict=True):
        body = {"registration_id": mine["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}
        assert (await registration.post(seller(partner), "/disputes", body)).status_code == 201

    first = (await registration.get(seller("p1"), "/disputes", limit=1)).json()
    cursor = first["next_cursor"]
    second = (await registration.get(seller("p1"), "/disputes", limit=1, cursor=cursor)).json()
    app, of = registration.service.application, "disputes -opened_at"
    signed = signed_cursor(app, TENANT, of, opened_cursor(app, TENANT, of, cursor))
    refused = [
        await registration.get(seller("p1"), "/deals", limit=1, cursor=cursor),
        await registration.get(seller("p1"), "/disputes", limit=1, cursor=cursor[:-8] + "AAAAAAA="),
        await registration.get(seller("p1"), "/disputes", limit=1, cursor="é\u202e"),
    ]

    told = base64.urlsafe_b64decode(cursor)
    assert [one for one in filed if one["registration_id"].encode() in told] == []
    assert [len(page["items"]) for page in (first, second)] == [1, 1]
    assert second["next_cursor"] is None
    assert (await registration.get(seller("p1"), "/disputes", cursor=signed)).json() == second, "one of before goes on"
    assert [one.status_code for one in refused] == [400, 400, 400]


async def test_who_holds_may_appeal_at_once_however_late_the_list_of_disputes_is(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
    holder = await registration.register("p1")
    await registration.post(DESK, f"/deals/{holder['registration_id']}/approve")
    filer = await registration.register("p2")
    body = {"registration_id": filer["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}
    await registration.post(seller("p2"), "/disputes", body)

    verdict = {"outcome": "overturned", "reason": "Earlier work."}
    await registration.send(arbiter, f"/disputes/{filer['registration_id']}/decide", verdict)
    mine = f"/disputes/{holder['registration_id']}/appeal"
    appealed = await registration.send(seller("p1"), mine, {"statement": "We hold a letter."})

    assert (appealed.status_code, appealed.json()["stage"]) == (200, "appealed")


async def test_who_won_a_dispute_reads_by_the_same_deal_the_one_that_contests_it_now(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
    first = (await registration.register("p1"))["registration_id"]
    await registration.post(DESK, f"/deals/{first}/approve")
    second = (await registration.register("p2"))["registration_id"]
    body = {"registration_id": second, "kind": "earlier_work", "statement": "We met in 2024."}
    await registration.post(seller("p2"), "/disputes", body)
    await registration.post(arbiter, f"/disputes/{second}/decide", {"outcome": "overturned", "reason": "Earlier."})
    registration.clock.set(datetime(2026, 3, 30, 10, 0, tzinfo=UTC))
    await registration.until(second, "approved")
    won = (await registration.get(seller("p2"), f"/disputes/{second}")).json()
    counter = {"registration_id": first, "kind": "customer_choice", "statement": "They chose us."}
    filed = await registration.post(seller("p1"), "/disputes", counter)
    assert filed.status_code == 201, filed.text

    told = (await registration.get(seller("p2"), f"/disputes/{second}")).json()
    assert (won["side"], won["stage"], won["kind"]) == ("filer", "final", "earlier_work")
    assert (told["side"], told["kind"], told.get("statement")) == ("holder", "customer_choice", None)
    assert (await registration.get(DESK, f"/disputes/{second}")).json()["stage"] == "final"


async def test_each_side_of_a_split_knows_its_part_before_it_may_still_appeal(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
    holder = await registration.register("p1")
    mine = f"/disputes/{holder['registration_id']}"
    await registration.post(DESK, f"/deals/{holder['registration_id']}/approve")
    filer = await registration.register("p2")
    theirs = f"/disputes/{filer['registration_id']}"
    body = {"registration_id": filer["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}
    await registration.post(seller("p2"), "/disputes", body)
    await registration.post(arbiter, f"{theirs}/decide", {"outcome": "split", "reason": "Both.", "percent": "40"})

    async def parts(who: Principal, path: str) -> list[tuple[str, str]]:
        told = (await registration.get(who, path)).json()
        assert told["stage"] == "decided"
        return [(one["partner_id"], one["percent"]) for one in told["effects"]]

    assert await parts(seller("p1"), mine) == [("p1", "60.00")]
    assert await parts(seller("p2"), theirs) == [("p2", "40")]
    assert await parts(DESK, theirs) == [("p2", "40"), ("p1", "60.00")]


async def test_who_holds_appeals_by_its_own_deal_and_learns_nothing_of_who_filed(registration: Running) -> None:
    arbiter = replace(DESK, subject="arbiter-1", roles=("channel_manager",), duties=("arbiter",))
    holder = await registration.register("p1")
    mine = f"/disputes/{holder['registration_id']}"
    await registration.post(DESK, f"/deals/{holder['registration_id']}/approve")
    filer = await registration.register("p2")
    theirs = f"/disputes/{filer['registration_id']}"
    body = {"registration_id": filer["registration_id"], "kind": "earlier_work", "statement": "We met in 2024."}
    await registration.post(seller("p2"), "/disputes", body)
    await registration.post(arbiter, f"{theirs}/decide", {"outcome": "overturned", "reason": "Earlier work."})

    seen = await registration.get(seller("p1"), mine)
    listed = await registration.get(seller("p1"), "/disputes")
    appealed = await registration.post(seller("p1"), f"{mine}/appeal", {"statement": "We hold a letter."})
    again = await registration.post(arbiter, f"{theirs}/decide", {"outcome": "upheld", "reason": "Again."})
    other = replace(arbiter, subject="arbiter-2")
    decided = await registration.post(other, f"{theirs}/decide", {"outcome": "upheld", "reason": "The letter."})

    assert {name: seen.json()[name] for name in ("registration_id", "side", "stage", "outcome")} == {
        "registration_id": holder["registration_id"],
        "side": "holder",
        "stage": "decided",
        "outcome": "overturned",
    }
    assert [one["registration_id"] for one in listed.json()["items"]] == [holder["registration_id"]]
    assert appealed.json() == {
        "dispute_id": holder["registration_id"],
        "stage": "appealed",
        "due_at": "2026-03-10T10:00:00Z",
    }
    hidden = ("p2", filer["registration_id"], filer["number"], "2024", "Earlier work")
    assert not [word for word in hidden for text in (seen.text, listed.text, appealed.text) if word in text]
    assert (await registration.get(seller("p3"), mine)).status_code == 404
    assert (again.status_code, again.json()["type"].rsplit("/", 1)[-1]) == (403, "arbiter-involved")
    assert decided.status_code == 200
    told = (await registration.get(arbiter, theirs)).json()
    assert told["appeal"] == {"side": "holder", "statement": "We hold a letter."}
    assert (await registration.get(seller("p2"), theirs)).json()["appeal"] is None
