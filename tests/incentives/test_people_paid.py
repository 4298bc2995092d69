"""People who are paid themselves: known when they join, paid once their employer consents, seen by themselves."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from chassis.identity import Principal
from chassis.testing.kit import given
from contracts.onboarding import MembershipEnded, MembershipStarted, OffboardingStarted, PartnerReinstated
from services.incentives.domain.payee import NotEmployer, Payees, unmet
from services.incentives.domain.payee_commands import ConsentToPerson, EmployPerson, LetPersonGo, SuspendPayee
from services.incentives.domain.payee_events import (
    EmployerChanged,
    PayeeOpened,
    PayeeSuspended,
    PersonConsented,
    PersonLeft,
)
from tests.incentives.test_awards import OTHER_SELLER, SELLER, boost, claim_body, won
from tests.incentives.test_fund_service import FUND_MANAGER
from tests.incentives.test_payee import TABLE
from tests.incentives.test_service import (
    APPROVER,
    FINANCE,
    P1,
    P2,
    TENANT,
    activated,
    credited,
    incentives,
    refunded,
    suspended,
)

__all__ = ["incentives"]
NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
SINCE = date(2026, 3, 1)
PER_7 = Payees.at("per-7")
OPENED = PayeeOpened(payee_id="per-7", partner_id="p1", revision=0, opened_at=NOW)
CONSENTED = PersonConsented(payee_id="per-7", partner_id="p1", consented_by="per-1", consented_at=NOW)
LEFT = PersonLeft(payee_id="per-7", partner_id="p1", left_on=SINCE, recorded_at=NOW)
CLERK = Principal(tenant=TENANT, subject="per-9", kind="partner", partner_id="p1", roles=("finance",))


def joins(partner_id: str = "p1", *, primary: bool = True) -> EmployPerson:
    return EmployPerson(payee_id="per-7", partner_id=partner_id, primary=primary, since=SINCE, now=NOW)


def moved(partner_id: str = "p2") -> EmployerChanged:
    return EmployerChanged(payee_id="per-7", partner_id=partner_id, former_id="p1", since=SINCE, changed_at=NOW)


def leaves(partner_id: str = "p1") -> LetPersonGo:
    return LetPersonGo(payee_id="per-7", partner_id=partner_id, left_on=SINCE, now=NOW)


def test_who_joins_a_partner_is_paid_once_that_consents():
    given(TABLE[EmployPerson]).when(joins()).then([OPENED])
    assert unmet(Payees.fold([OPENED]), NOW) == ("employer_consent",)
    assert unmet(Payees.fold([OPENED, CONSENTED]), NOW) == ()


def test_who_works_for_another_partner_needs_its_consent_and_no_longer_the_former_one_s():
    given(TABLE[EmployPerson], (PER_7, [OPENED, CONSENTED])).when(joins("p2")).then([moved()])
    state = Payees.fold([OPENED, CONSENTED, moved()])
    assert (state.partner_id, unmet(state, NOW)) == ("p2", ("employer_consent",))
    consent = ConsentToPerson(payee_id="per-7", partner_id="p1", by="per-1", now=NOW)
    given(TABLE[ConsentToPerson], (PER_7, [OPENED, moved()])).when(consent).refused(NotEmployer)


def test_who_also_works_for_another_partner_stays_with_the_first():
    given(TABLE[EmployPerson], (PER_7, [OPENED])).when(joins("p2", primary=False)).then_nothing()
    given(TABLE[EmployPerson], (PER_7, [OPENED])).when(joins("p1")).then_nothing()


def test_who_leaves_keeps_what_the_employer_consented_to_and_asks_anew_when_it_comes_back():
    given(TABLE[LetPersonGo], (PER_7, [OPENED, CONSENTED])).when(leaves()).then([LEFT])
    assert unmet(Payees.fold([OPENED, CONSENTED, LEFT]), NOW) == ()
    given(TABLE[EmployPerson], (PER_7, [OPENED, CONSENTED, LEFT])).when(joins()).then([moved("p1")])
    back = Payees.fold([OPENED, CONSENTED, LEFT, moved("p1")])
    assert (back.left_on, unmet(back, NOW)) == (None, ("employer_consent",))


def test_who_leaves_twice_or_never_came_or_left_somebody_else_leaves_nothing_behind():
    given(TABLE[LetPersonGo]).when(leaves()).then_nothing()
    given(TABLE[LetPersonGo], (PER_7, [OPENED, LEFT])).when(leaves()).then_nothing()
    given(TABLE[LetPersonGo], (PER_7, [OPENED])).when(leaves("p2")).then_nothing()


def suspends(partner_id: str = "p1", revision: int = 2) -> SuspendPayee:
    fields: dict[str, Any] = {"scopes": ("payouts",), "reason_code": "employer-suspended", "now": NOW}
    return SuspendPayee(payee_id="per-7", partner_id=partner_id, revision=revision, **fields)


def test_who_works_for_a_suspended_partner_is_not_paid_and_who_has_gone_elsewhere_is():
    suspended = given(TABLE[SuspendPayee], (PER_7, [OPENED, CONSENTED])).when(suspends()).verdict.events[0]
    assert unmet(Payees.fold([OPENED, CONSENTED, *suspended]), NOW) == ("suspended",)
    given(TABLE[SuspendPayee], (PER_7, [OPENED, moved()])).when(suspends()).then_nothing()
    given(TABLE[SuspendPayee], (PER_7, [])).when(suspends()).then_nothing()
    elsewhere = Payees.fold([OPENED, *suspended, moved()])
    assert unmet(elsewhere, NOW) == ("employer_consent",)
    given(TABLE[SuspendPayee], (PER_7, [OPENED, *suspended, moved()])).when(suspends("p2", revision=1)).then(
        [PayeeSuspended(**{**vars(suspended[0]), "partner_id": "p2", "revision": 1})]
    )


# At work

BANK = {"iban": "DE89370400440532013000", "holder": "Kim Seller"}
PARTS = [{"party": "seller", "percent": "60"}, {"party": "partner", "percent": "40"}]


def member(person_id: str = "per-7") -> MembershipStarted:
    fields: dict[str, Any] = {"membership_id": f"m-{person_id}", "person_id": person_id, "partner_id": "p1"}
    return MembershipStarted(**fields, roles=("seller",), effective_on=SINCE)


async def awarded(incentives: Any) -> None:
    """A sale that per-7 claimed: 60.00 are its own, 40.00 the partner's."""
    await incentives.publish_plan(boost(hold_days=0, payees=PARTS), "boost")
    for happened in (activated(), member(), member("per-8")):
        await incentives.hear(happened, times=2)
    incentives.clock.set(NOW)
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    made = await incentives.post(SELLER, "/claims", claim_body())
    path = f"/claims/{made.json()['claim_id']}"
    await incentives.post(SELLER, f"{path}/submit")
    assert (await incentives.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})).status_code == 200


async def papers(incentives: Any) -> None:
    """Its own bank details, verified by the owner, who also consents."""
    assert (await incentives.put(SELLER, "/payees/per-7/bank", BANK)).status_code == 200
    bank_id = (await incentives.get(SELLER, "/payees/per-7"))["bank"]["bank_id"]
    assert (await incentives.post(P1, "/payees/per-7/bank/verify", {"bank_id": bank_id})).status_code == 200
    assert (await incentives.post(P1, "/payees/per-7/consent")).status_code == 200


async def paid(incentives: Any) -> dict[str, Any]:
    incentives.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    month = {"partner_id": "p1", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    answer = await incentives.post(FINANCE, "/statements", month)
    assert answer.status_code == 201, answer.text
    statement: dict[str, Any] = answer.json()
    payment = (await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})).json()
    approved = await incentives.post(APPROVER, f"/payments/{payment['payment_id']}/approve")
    assert approved.json()["state"] == "approved", approved.text
    await incentives.post(FINANCE, f"/payments/{payment['payment_id']}/submit")
    await incentives.until(FINANCE, f"/payments/{payment['payment_id']}", lambda found: found["state"] == "paid")
    return statement


async def test_a_person_is_paid_its_own_part_of_a_spiff(incentives):
    await awarded(incentives)
    await papers(incentives)
    statement = await paid(incentives)
    await incentives.until(SELLER, "/lines", lambda page: page["items"][0]["state"] == "paid")
    [line] = (await incentives.get(SELLER, "/lines"))["items"]
    assert (line["payee_id"], line["amount"]["amount"]) == ("per-7", "60.00")
    mine = await incentives.get(SELLER, f"/statements/{statement['statement_id']}")
    assert (mine["payee_id"], mine["closing"]["amount"]) == ("per-7", "60.00")
    live = await incentives.get(SELLER, "/statements/live?partner_id=p1&currency=EUR")
    assert live["payee_id"] == "per-7"


async def test_without_its_employer_s_consent_a_person_s_payment_is_blocked(incentives):
    await awarded(incentives)
    incentives.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    month = {"partner_id": "p1", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", month)).json()
    payment = (await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})).json()
    await incentives.post(APPROVER, f"/payments/{payment['payment_id']}/approve")
    blocked = await incentives.get(FINANCE, f"/payments/{payment['payment_id']}")
    assert (blocked["state"], blocked["gates"]) == ("blocked", ["employer_consent"])


async def test_a_person_s_payment_is_blocked_while_its_partner_s_payouts_are_suspended(incentives):
    await awarded(incentives)
    await papers(incentives)
    await incentives.hear(suspended(), times=2)
    await incentives.hear(member("per-9"), times=2)
    incentives.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    month = {"partner_id": "p1", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", month)).json()
    payment = (await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})).json()
    path = f"/payments/{payment['payment_id']}"
    await incentives.post(APPROVER, f"{path}/approve")
    blocked = await incentives.get(FINANCE, path)
    assert (blocked["state"], blocked["gates"]) == ("blocked", ["suspended"])
    shown = {one: await incentives.get(FINANCE, f"/payees/{one}") for one in ("per-7", "per-8", "per-9")}
    assert {one: [gate["gate"] for gate in found["gates"]] for one, found in shown.items()} == {
        "per-7": ["suspended"],
        "per-8": ["employer_consent", "suspended"],
        "per-9": ["employer_consent", "suspended"],
    }, "who joins meanwhile as well"
    [gate] = shown["per-7"]["gates"]
    assert "employer-suspended" in gate["text"], "the partner's own reason is not its people's to read"
    await incentives.hear(PartnerReinstated(partner_id="p1", revision=3, reinstated_at=NOW), times=2)
    assert (await incentives.get(FINANCE, "/payees/per-7"))["gates"] == []
    assert (await incentives.post(FINANCE, f"{path}/resume")).json()["state"] == "proposed"


async def test_a_person_sees_and_keeps_its_own_pay_alone(incentives):
    await awarded(incentives)
    lines = (await incentives.get(P1, "/lines"))["items"]
    by_payee = {line["payee_id"]: line["line_id"] for line in lines}
    assert sorted(by_payee) == ["p1", "per-7"]
    assert await incentives.get(SELLER, f"/lines/{by_payee['p1']}") == 404
    assert [one["payee_id"] for one in (await incentives.get(SELLER, "/lines?payee_id=p1"))["items"]] == ["per-7"]
    assert (await incentives.get(OTHER_SELLER, "/lines"))["items"] == []
    assert await incentives.get(OTHER_SELLER, f"/lines/{by_payee['per-7']}") == 404
    assert await incentives.get(OTHER_SELLER, "/statements/live?partner_id=p1&payee_id=per-7&currency=EUR") == 404
    assert await incentives.get(P2, "/statements/live?partner_id=p1&payee_id=per-7&currency=EUR") == 404
    assert [one["payee_id"] for one in (await incentives.get(SELLER, "/payees"))["items"]] == ["per-7"]
    for payee_id in ("per-7", "p1"):
        assert await incentives.get(OTHER_SELLER, f"/payees/{payee_id}") in (403, 404)
        for verb, body in (("bank", BANK), ("currency", {"currency": "USD"})):
            assert (await incentives.put(OTHER_SELLER, f"/payees/{payee_id}/{verb}", body)).status_code == 404
    assert len((await incentives.get(CLERK, "/payees"))["items"]) == 3


async def test_who_is_one_with_a_partner_neither_changes_nor_vouches_for_where_its_money_goes(incentives):
    await awarded(incentives)
    assert (await incentives.put(SELLER, "/payees/per-7/bank", BANK)).status_code == 200
    bank_id = (await incentives.get(SELLER, "/payees/per-7"))["bank"]["bank_id"]
    survivor = replace(P2, absorbed=("p1",))
    absorbed = replace(survivor, subject="per-1", home_id="p1")
    form = {"form": "w8", "jurisdiction": "US", "tax_year": 2026, "form_sha256": "a" * 64}
    for payee_id in ("p1", "per-7"):
        assert (await incentives.get(survivor, f"/payees/{payee_id}"))["payee_id"] == payee_id
        path = f"/payees/{payee_id}"
        for answer in (
            await incentives.put(survivor, f"{path}/bank", BANK),
            await incentives.post(survivor, f"{path}/bank/verify", {"bank_id": bank_id}),
            await incentives.put(survivor, f"{path}/tax", form),
            await incentives.put(survivor, f"{path}/currency", {"currency": "USD"}),
            await incentives.post(survivor, f"{path}/consent"),
        ):
            assert (answer.status_code, answer.json()["slug"]) == (403, "of-the-other-partner")
    verified = await incentives.post(absorbed, "/payees/per-7/bank/verify", {"bank_id": bank_id})
    assert verified.status_code == 200
    assert (await incentives.post(absorbed, "/payees/per-7/consent")).status_code == 200


async def test_what_a_person_owes_is_given_up_by_two_people(incentives):
    """Its SPIFF was paid, and the sale is refunded: 60.00 are owed by the person, 40.00 less are payable to the partner."""
    await awarded(incentives)
    await papers(incentives)
    await paid(incentives)
    await incentives.hear(refunded("x", "1000.00"))
    owes = (await incentives.get(FINANCE, "/liability"))["items"]
    assert {one["payee_id"]: one["payable"] for one in owes} == {"p1": "0.00", "per-7": "-60.00"}
    body = {"payee_id": "per-7", "currency": "EUR", "reason": "has left"}
    for who in (FINANCE, APPROVER):
        assert (await incentives.post(who, "/write-offs", body)).status_code == 200
    [given_up] = (await incentives.get(FINANCE, "/write-offs"))["items"]
    assert [given_up[name] for name in ("payee_id", "partner_id", "state")] == ["per-7", "p1", "written_off"]
    owes = (await incentives.get(FINANCE, "/liability"))["items"]
    assert {one["payee_id"]: one["payable"] for one in owes} == {"p1": "0.00", "per-7": "0.00"}


async def test_who_has_left_is_still_paid(incentives):
    await awarded(incentives)
    await papers(incentives)
    ended = MembershipEnded(membership_id="m-per-7", person_id="per-7", partner_id="p1", effective_on=SINCE)
    await incentives.hear(ended)
    assert (await incentives.get(P1, "/payees/per-7"))["left_on"] == "2026-03-01"
    await paid(incentives)


async def moves_on(incentives: Any) -> Principal:
    """per-7, who earned 60.00 at p1, works for p2."""
    await incentives.hear(activated("p2"))
    await incentives.hear(replace(member(), membership_id="m-2", partner_id="p2"))
    return replace(SELLER, partner_id="p2")


async def test_what_a_person_earned_at_one_partner_is_stated_there_and_read_by_no_later_employer(incentives):
    await awarded(incentives)
    mover = await moves_on(incentives)
    incentives.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert await incentives.get(P2, "/statements/live?partner_id=p2&payee_id=per-7&currency=EUR") == 404
    month = {"partner_id": "p2", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    answer = await incentives.post(FINANCE, "/statements", month)
    assert answer.status_code == 201, answer.text
    path = f"/statements/{answer.json()['statement_id']}"
    assert (await incentives.get(FINANCE, path))["partner_id"] == "p1"
    assert (await incentives.get(P2, "/statements"))["items"] == []
    assert await incentives.get(P2, path) == 404
    for reader in (P1, mover):
        assert [one["payee_id"] for one in (await incentives.get(reader, "/statements"))["items"]] == ["per-7"]
        assert (await incentives.get(reader, path))["closing"]["amount"] == "60.00"
    [line] = (await incentives.get(mover, "/lines"))["items"]
    assert (await incentives.get(mover, f"/lines/{line['line_id']}"))["partner_id"] == "p1"


async def test_of_who_earned_at_two_partners_each_is_stated_by_itself_one_period_after_the_other(incentives):
    await awarded(incentives)
    mover = await moves_on(incentives)
    await incentives.hear(replace(won(), opportunity_id="o2", registration_id="r2"))
    await incentives.hear(replace(credited(("p2", "100.00")), opportunity_id="o2"))
    claim = claim_body(registration_id="r2")
    claim["items"][0]["sold"]["invoice"] = "inv-2"
    made = await incentives.post(mover, "/claims", claim)
    path = f"/claims/{made.json()['claim_id']}"
    assert (await incentives.post(mover, f"{path}/submit")).status_code == 200
    assert (await incentives.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})).status_code == 200
    for day, known in ((datetime(2026, 4, 3, 1, tzinfo=UTC), 1), (datetime(2026, 5, 5, 1, tzinfo=UTC), 2)):
        await incentives.settle()
        incentives.clock.set(day)
        await incentives.until(mover, "/statements", lambda found, known=known: len(found["items"]) == known)
    stated = (await incentives.get(mover, "/statements?sort=date"))["items"]
    assert [(one["partner_id"], one["period"], one["closing"]["amount"]) for one in stated] == [
        ("p1", "2026-03", "60.00"),
        ("p2", "2026-04", "120.00"),
    ]
    for reader, period in ((P1, "2026-03"), (P2, "2026-04")):
        mine = (await incentives.get(reader, "/statements?payee_id=per-7"))["items"]
        assert [one["period"] for one in mine] == [period]
        whole = await incentives.get(reader, f"/statements/{mine[0]['statement_id']}")
        assert [one["amount"]["amount"] for one in whole["lines"]] == ["60.00"]


async def test_a_balance_stands_under_who_a_person_works_for_now(incentives):
    await awarded(incentives)
    await moves_on(incentives)
    for path in ("/liability", "/ledger/balances"):
        found = {one["payee_id"]: one["partner_id"] for one in (await incentives.get(FINANCE, path))["items"]}
        assert found["per-7"] == "p2"


# A partner that leaves


def offboarding(until: date) -> OffboardingStarted:
    return OffboardingStarted(
        partner_id="p1",
        revision=5,
        reason_code="strategy",
        last_business_day=date(2026, 3, 31),
        run_off_until=until,
        started_at=NOW,
    )


async def test_a_partner_that_leaves_is_settled_once_its_people_are_paid_too(incentives):
    await awarded(incentives)
    await papers(incentives)
    await incentives.hear(offboarding(date(2026, 4, 30)))
    incentives.clock.set(datetime(2026, 5, 1, 9, tzinfo=UTC))
    found = await incentives.until(FINANCE, "/settlements/p1", lambda it: it["state"] == "awaited")
    assert [(owed["payee_id"], owed["amount"]["amount"]) for owed in found["open"]] == [
        ("p1", "40.00"),
        ("per-7", "60.00"),
    ]
    for statement in (await incentives.get(FINANCE, "/statements?partner_id=p1"))["items"]:
        made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
        payment = f"/payments/{made.json()['payment_id']}"
        await incentives.post(APPROVER, f"{payment}/approve")
        await incentives.post(FINANCE, f"{payment}/submit")
        await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
    incentives.clock.set(datetime(2026, 5, 2, 9, tzinfo=UTC))
    found = await incentives.until(FINANCE, "/settlements/p1", lambda it: it["state"] == "settled")
    assert found["open"] == []
