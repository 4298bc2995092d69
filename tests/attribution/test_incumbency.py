"""Who sold what to a customer before: the vendor says so, and registration hears it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.attribution import IncumbentChanged as Public
from contracts.values import AccountId
from services.attribution.domain.incumbency import (
    Incumbencies,
    IncumbentChanged,
    IncumbentEnded,
    SetIncumbent,
    incumbency_id,
)
from services.attribution.projections.incumbents import INCUMBENTS, as_of
from services.attribution.publishing import publish
from tests.attribution.facts import ANNE, BEN, at, handles
from tests.attribution.test_service import Stage, stage

__all__ = ["stage"]
SET = handles(SetIncumbent)
NAME = incumbency_id("acme", "account-1", "cloud")
STREAM = Incumbencies.at(NAME)
WISH = SetIncumbent(
    incumbency_id=NAME,
    account_id=AccountId("account-1"),
    product_family="cloud",
    partner_id=ANNE,
    until_on=None,
    reason="They have had them since 2019.",
    by="cara",
    today=at(0).date(),
    now=at(0),
)
CHANGED = IncumbentChanged(
    incumbency_id=NAME,
    account_id=AccountId("account-1"),
    product_family="cloud",
    partner_id=ANNE,
    from_on=at(0).date(),
    until_on=None,
    reason="They have had them since 2019.",
    set_by="cara",
    changed_at=at(0),
)


def test_the_vendor_says_who_the_incumbent_is_from_today_on() -> None:
    given(SET).when(WISH).then([CHANGED])


def test_the_same_again_is_nothing_and_another_one_is_news() -> None:
    before = given(SET, (STREAM, [CHANGED]))
    before.when(replace(WISH, reason="Said twice.")).then_nothing()
    before.when(replace(WISH, partner_id=BEN)).then([replace(CHANGED, partner_id=BEN)])
    before.when(replace(WISH, partner_id=None)).then([replace(CHANGED, partner_id=None)])


def test_that_nobody_is_can_be_said_first_too() -> None:
    given(SET).when(replace(WISH, partner_id=None)).then([replace(CHANGED, partner_id=None)])


def test_a_day_that_is_over_is_refused_and_today_is_not() -> None:
    given(SET).when(replace(WISH, until_on=date(2026, 1, 1))).refused(IncumbentEnded)
    given(SET).when(replace(WISH, until_on=WISH.today)).then([replace(CHANGED, until_on=WISH.today)])


def test_others_hear_who_it_is_and_neither_why_nor_by_whom() -> None:
    public = publish(told(CHANGED)[0])
    assert public == Public(
        account_id=AccountId("account-1"), product_family="cloud", partner_id=ANNE, from_on=at(0).date(), until_on=None
    )
    assert public.for_partner(ANNE) is None


def test_what_was_said_last_is_shown() -> None:
    seen = told(CHANGED, replace(CHANGED, partner_id=BEN, until_on=date(2027, 1, 31)))
    assert_repeatable(INCUMBENTS, seen)
    shown = project(INCUMBENTS, seen)[NAME]
    assert (shown["partner_id"], shown["until_on"]) == (BEN, "2027-01-31")


async def test_over_http_the_vendor_alone_says_and_reads_it(stage: Stage) -> None:
    body: dict[str, Any] = {"account_id": "account-1", "product_family": "cloud", "partner_id": ANNE, "reason": "So."}
    assert (await stage.post("/incumbents", body)).status == 201
    nobody = {"account_id": "account-1", "product_family": "backup", "reason": "It is free."}
    assert (await stage.post("/incumbents", nobody)).json()["partner_id"] is None
    over = await stage.post("/incumbents", {**body, "until_on": "2020-01-01"})
    assert (over.status, over.json()["slug"]) == (422, "incumbent-ended")
    partner = stage.api("partner", ANNE, roles=("owner",))
    assert (await stage.post("/incumbents", body, partner)).status == 403
    assert (await partner.get("/incumbents")).status == 403
    found = (await stage.now("/incumbents?account_id=account-1"))["items"]
    assert [(one["product_family"], one["partner_id"]) for one in found] == [("backup", None), ("cloud", ANNE)]
    assert (await stage.now("/incumbents?account_id=another"))["items"] == []


def test_what_had_been_said_by_the_end_of_a_day_stays_readable() -> None:
    in_march = replace(CHANGED, partner_id=BEN, from_on=date(2026, 3, 1), reason="It went on.")
    document = project(INCUMBENTS, told(replace(CHANGED, from_on=date(2026, 1, 10), reason="So."), in_march))[NAME]

    def said(day: date) -> tuple[str | None, str, int] | None:
        found = as_of(document, day)
        return (found["partner_id"], found["reason"], len(found["earlier"])) if found else None

    assert said(date(2026, 1, 9)) is None
    assert said(date(2026, 1, 10)) == said(date(2026, 2, 28)) == (ANNE, "So.", 0)
    assert said(date(2026, 3, 1)) == (BEN, "It went on.", 1)


async def test_what_was_said_is_read_as_of_a_day_over_http(stage: Stage) -> None:
    body: dict[str, Any] = {"account_id": "account-1", "product_family": "cloud", "partner_id": ANNE, "reason": "So."}
    assert (await stage.post("/incumbents", body)).status == 201
    assert (await stage.post("/incumbents", {**body, "partner_id": BEN})).status == 201
    [last] = (await stage.now("/incumbents"))["items"]
    assert [one["partner_id"] for one in last["earlier"]] == [ANNE]
    today = date.fromisoformat(last["from_on"])
    assert (await stage.now(f"/incumbents?at={today}"))["items"] == [last]
    assert (await stage.now(f"/incumbents?at={today}&partner_id={ANNE}"))["items"] == []
    assert (await stage.now(f"/incumbents?at={today - timedelta(days=1)}"))["items"] == []
