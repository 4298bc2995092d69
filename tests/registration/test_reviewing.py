"""The vendor reviews: return, findings, second look, approve, reject; and how a deal ends."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import NotFound, Raced, WrongState
from chassis.event import LEFT_OUT, plain
from chassis.testing.projections import told
from contracts import registration as public
from contracts.values import AccountId, OpportunityId, ShownDocument, Span, money
from services.registration.domain.account import AccountLinked, Accounts, KeptApart
from services.registration.domain.claims import ClaimHeld, ClaimReleased, ClaimsOf
from services.registration.domain.deal import (
    CheckFailed,
    Deals,
    FieldNotEditable,
    FindingUndecided,
    IdentityUnconfirmed,
    Incomplete,
    NotBlocked,
    SelfApproval,
)
from services.registration.domain.deal_commands import (
    AmendDeal,
    CloseDeal,
    DecideFinding,
    EndProtection,
    PromoteDeal,
    QueueDeal,
    RejectDeal,
    ResubmitDeal,
    ReturnDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    DealAmended,
    DealApproved,
    DealClosed,
    DealPromoted,
    DealQueued,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealWithdrawn,
    Evidence,
    ProtectionEnded,
)
from services.registration.domain.partner_facts import Partners
from services.registration.domain.reviewing import NoSuchFinding
from services.registration.publishing import publish
from tests.registration.deals import (
    CONTOSO,
    NOW,
    SEALED,
    Town,
    approval,
    candidate,
    customer,
    details,
    partner_facts,
    product,
)

OTHER = AccountId("account-other")
OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}


def published(happened: Any) -> Any:
    """What others hear of an event."""
    [seen] = told(happened, tenant="acme", first=1, at=NOW)
    return publish(seen)


def on(deal: str = "a", **changes: Any) -> dict[str, Any]:
    return {"registration_id": deal, "accounts": (CONTOSO,), "now": NOW, **changes}


def around(deal: str, partner: str, **changes: Any) -> dict[str, Any]:
    return {**on(deal, **changes), "programme": "default", "partner_id": partner, "screening_id": f"again-{deal}"}


def names(events: list[Any]) -> list[str]:
    return [type(happened).__name__ for happened in events]


def status(town: Town, deal: str = "a") -> str:
    return str(town.state(Deals.at(deal)).status)


def reviewed(**body: Any) -> Town:
    town = Town(**body)
    town.register("a", "p-1")
    return town


# Return and resubmit


def returned(*fields: str) -> Town:
    town = reviewed()
    town.run(ReturnDeal(**on(), fields=fields, message=SEALED, by="desk-1"))
    return town


def test_a_deal_is_returned_for_named_fields() -> None:
    town = reviewed()

    events = town.run(ReturnDeal(**on(), fields=("amount",), message=SEALED, by="desk-1"))

    fifteen_days = datetime(2026, 3, 20, 17, 0, tzinfo=UTC)
    asked = {"fields": ("amount",), "message": SEALED, "returned_by": "desk-1", "returned_at": NOW}
    assert events == [[DealReturned(**OF_A, **asked, due_at=fifteen_days)]]
    assert status(town) == "action_required"


def test_what_a_deal_is_cannot_be_returned_for_correction() -> None:
    with pytest.raises(FieldNotEditable):
        reviewed().run(ReturnDeal(**on(), fields=("products",), message=SEALED, by="desk-1"))


def test_a_correction_keeps_the_instant_and_is_screened_again() -> None:
    town = returned("amount")
    later = NOW + timedelta(days=3)
    corrected = details(amount=money("12000.00", "EUR"))

    deal, claims = town.run(ResubmitDeal(**around("a", "p-1", now=later), details=corrected, by="seller-2"))

    assert deal[0] == DealResubmitted(
        **OF_A,
        fields=("amount",),
        details=corrected,
        resubmitted_by="seller-2",
        resubmitted_at=later,
        amount=corrected.amount,
        in_full=True,
        documents=True,
    )
    assert names(deal[1:]) == ["DealScreened"]
    assert claims == []
    assert town.state(ClaimsOf.at(CONTOSO)).live[0].submitted_at == NOW
    assert status(town) == "in_review"


def test_done_when_5_a_field_that_was_not_named_is_refused() -> None:
    wrong = details(amount=money("12000.00", "EUR"), close_on=date(2026, 7, 1))

    with pytest.raises(FieldNotEditable) as refused:
        returned("amount").run(ResubmitDeal(**around("a", "p-1"), details=wrong, by="seller-2"))

    assert [error["path"] for error in refused.value.fields["errors"]] == ["close_on"]


def test_a_corrected_deal_may_still_not_fit() -> None:
    with pytest.raises(Incomplete):
        returned("amount").run(
            ResubmitDeal(**around("a", "p-1"), details=details(amount=money("-1.00", "EUR")), by="seller-2")
        )


def test_a_deal_in_review_takes_no_corrections() -> None:
    with pytest.raises(WrongState) as refused:
        reviewed().run(ResubmitDeal(**around("a", "p-1"), details=details(), by="seller-2"))

    assert refused.value.fields["state"] == "in_review"
    assert refused.value.fields["allowed"][:2] == ["return", "decide-finding"]


def test_a_refusal_names_the_verbs_that_it_named_before_extensions_were_in_the_table() -> None:
    with pytest.raises(WrongState) as refused:
        approved().run(ResubmitDeal(**around("a", "p-1"), details=details(), by="seller-2"))

    verbs = ["amend", "approve", "revoke", "add-evidence", "record-order", "merge", "withdraw"]
    assert refused.value.fields == {"state": "approved", "allowed": verbs}


# Approve


def test_an_approval_protects_from_now_to_the_closing_midnight() -> None:
    town = reviewed(zone="Europe/London")

    deal, claims = town.run(approval(now=datetime(2026, 3, 3, 10, 0, tzinfo=UTC)))

    span = Span(start=datetime(2026, 3, 3, 10, 0, tzinfo=UTC), end=datetime(2026, 6, 1, 23, 0, tzinfo=UTC))
    assert isinstance(deal[0], DealApproved)
    assert (deal[0].protection, deal[0].basis, deal[0].approved_by) == (span, "first_to_register", "desk-1")
    assert claims == [ClaimHeld(registration_id="a", protection=span, exclusive=True, blocks=(), held_at=span.start)]


def test_who_submitted_cannot_approve() -> None:
    with pytest.raises(SelfApproval):
        reviewed().run(approval(by="seller-p-1"))


def test_a_deal_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Town().run(approval("ghost"))


def test_new_evidence_is_written_down_first_and_approved_on_the_second_look() -> None:
    town = reviewed()
    alike = (candidate(token_set_percent=100),)

    first, held = town.run(approval(candidates=alike))

    assert names(first) == ["DealScreened"]
    assert held == []
    assert status(town) == "in_review"
    assert names(town.run(approval(candidates=alike))[0]) == ["DealApproved"]


def test_a_partner_suspended_since_is_news_and_then_a_failed_check() -> None:
    town = reviewed()
    suspended = partner_facts(suspended=("new_business",))
    town.keep(Partners.at("p-1"), [suspended])

    assert names(town.run(approval())[0]) == ["DealScreened"]
    with pytest.raises(CheckFailed) as refused:
        town.run(approval())
    assert refused.value.fields == {"codes": ["partner-not-active"]}


def test_without_a_key_the_identity_is_confirmed_first() -> None:
    town = Town()
    town.register("a", "p-1", keys=())

    with pytest.raises(IdentityUnconfirmed):
        town.run(approval())


def test_who_comes_second_waits_until_the_monday_after() -> None:
    town = Town(priority="first_to_approve")
    town.register("a", "p-1")
    town.register("b", "p-2")
    second_look = names(town.run(approval("a"))[0])
    assert second_look == ["DealScreened", "ConflictDetected"], "b came after a was screened"
    deal, held = town.run(approval("a"))
    assert held[0].blocks == ("b",)

    events, claims = town.run(approval("b", "p-2"))

    assert names(events) == ["DealScreened", "ConflictDetected", "DealQueued"]
    assert events[-1].place == 1
    assert events[-1].free_on == date(2026, 6, 8)
    assert names(claims) == ["ClaimQueued"]
    assert isinstance(deal[0], DealApproved)


def test_a_deal_that_a_hold_blocks_is_queued_by_the_service() -> None:
    town = Town(priority="first_to_approve")
    town.register("b", "p-2")
    town.register("a", "p-1")
    town.run(approval("a"))

    assert names(town.run(QueueDeal(**around("b", "p-2")))[0]) == ["DealScreened", "ConflictDetected", "DealQueued"]
    assert status(town, "b") == "waiting"


def test_who_asked_before_those_that_wait_takes_its_place_before_them_also_where_no_more_may_come() -> None:
    asking = (("a", "p-1"), ("b", "p-2"), ("c", "p-3"))
    for first, second, statuses in (("b", "a", "waiting waiting"), ("a", "b", "waiting rejected")):
        town = Town("p-1", "p-2", "p-3", "p-4", priority="first_to_approve", queue_max=1)
        for deal, partner in asking:
            town.register(deal, partner)
        town.run(approval("c", "p-3"))
        for deal in (first, second):
            town.run(QueueDeal(**around(deal, dict(asking)[deal])))
        assert f"{status(town, 'a')} {status(town, 'b')}" == statuses

        town.register("d", "p-4")

        assert status(town, "d") == "rejected"


def test_nobody_waits_behind_nobody() -> None:
    with pytest.raises(NotBlocked):
        reviewed().run(QueueDeal(**around("a", "p-1")))


def test_a_command_made_before_the_deal_entered_another_account_is_made_again() -> None:
    with pytest.raises(Raced):
        reviewed().run(approval(accounts=(CONTOSO, OTHER)))


# Findings


def with_finding(link: str | None = "parent") -> Town:
    town = Town()
    town.register("a", "p-1", candidates=(candidate(token_set_percent=100, link=link),))
    return town


def finding(verdict: str, account: str = OTHER) -> DecideFinding:
    return DecideFinding(**on(), account_id=AccountId(account), verdict=verdict, reason=SEALED, by="desk-1")


def test_related_customers_are_decided_before_an_approval() -> None:
    town = with_finding()
    again = approval(candidates=(candidate(token_set_percent=100, link="parent"),))

    with pytest.raises(FindingUndecided) as refused:
        town.run(again)
    town.run(finding("different"))

    assert refused.value.fields == {"accounts": [OTHER]}
    assert names(town.run(again)[0]) == ["DealApproved"]


def test_a_word_on_a_finding_is_stored_as_it_was_before_groups_were_claimed() -> None:
    for verdict in ("different", "same"):
        assert "group" not in plain(with_finding().run(finding(verdict))[0][0])


def test_the_same_customer_is_entered_too() -> None:
    town = with_finding()

    deal, account, own, entered = town.run(finding("same"))

    assert names(deal) == ["FindingDecided"]
    assert account == [
        AccountLinked(
            account_id=CONTOSO, other_id=OTHER, link="alias", registration_id="a", linked_by="desk-1", linked_at=NOW
        )
    ]
    assert own == []
    assert names(entered) == ["ClaimPlaced"]
    assert town.state(Deals.at("a")).accounts == (CONTOSO, OTHER)


def test_a_rival_on_the_same_customer_is_met_after_the_decision() -> None:
    town = with_finding()
    town.register("b", "p-2", keys=(), accounts=(OTHER,))
    town.run(finding("same"))

    events, *_ = town.run(approval(accounts=(CONTOSO, OTHER)))

    assert names(events) == ["DealScreened", "ConflictDetected", "DealQueued"]
    assert events[1].rivals == ("b",)


def test_a_different_customer_stays_apart_for_good() -> None:
    town = with_finding()

    town.run(finding("different"))

    assert town.of(Accounts.at(CONTOSO))[-1] == KeptApart(
        account_id=CONTOSO, other_id=OTHER, registration_id="a", decided_by="desk-1", kept_at=NOW
    )
    assert town.run(finding("different"))[0] == []


def test_only_what_was_found_can_be_decided() -> None:
    with pytest.raises(NoSuchFinding):
        with_finding().run(finding("same", "account-nobody-found"))


# Reject, and the queue


def test_a_rejection_lets_the_next_one_move_up() -> None:
    town = reviewed()
    town.register("b", "p-2")
    town.register("c", "p-3")

    deal, claims = town.run(RejectDeal(**on(), reason_code="existing-customer", message=SEALED, by="desk-1"))

    assert isinstance(deal[0], DealRejected)
    assert claims == [ClaimReleased(registration_id="a", reason_code="rejected", frees=("b",), released_at=NOW)]
    assert names(town.run(PromoteDeal(**around("b", "p-2")))[0]) == [
        "DealPromoted",
        "DealScreened",
        "ConflictDetected",
    ]
    assert town.run(PromoteDeal(**around("c", "p-3")))[0] == [], "b is before c"


def test_two_that_do_not_touch_each_other_both_move_up() -> None:
    town = Town()
    town.register("a", "p-1", products=(product(None),))
    town.register("b", "p-2", products=(product("200"),))
    town.register("c", "p-3", products=(product("300"),))

    _, claims = town.run(WithdrawDeal(**on(), reason_code="withdrawn", by="seller-p-1"))

    assert claims[0].frees == ("b", "c")


def test_a_deal_that_waits_can_be_promoted_only() -> None:
    town = reviewed()
    town.register("b", "p-2")

    with pytest.raises(WrongState):
        town.run(approval("b", "p-2"))


def test_the_promoted_deal_is_approved_as_any_other() -> None:
    town = reviewed()
    queued = town.register("b", "p-2")[-1]
    town.run(WithdrawDeal(**on(), reason_code="withdrawn", by="seller-p-1"))
    promoted = town.run(PromoteDeal(**around("b", "p-2")))[0][0]

    assert isinstance(queued, DealQueued)
    assert isinstance(promoted, DealPromoted)
    assert names(town.run(approval("b", "p-2"))[0]) == ["DealApproved"]


# The end


def approved(**body: Any) -> Town:
    town = reviewed(**body)
    town.run(approval())
    return town


END = datetime(2026, 6, 1, 0, 0, tzinfo=UTC)


def test_protection_ends_at_its_end_and_not_before() -> None:
    town = approved(protection={"inactive_days": 0})

    assert town.run(EndProtection(**on(now=END - timedelta(seconds=1)))) == [[], []]
    deal, claims = town.run(EndProtection(**on(now=END)))

    assert deal == [ProtectionEnded(**OF_A, reason_code="expired", ended_at=END)]
    assert names(claims) == ["ClaimReleased"]
    assert status(town) == "expired"
    assert town.run(EndProtection(**on(now=END))) == [[], []]


@pytest.mark.parametrize("result", ["won", "lost"])
def test_the_crm_closes_a_deal_and_its_protection(result: str) -> None:
    town = approved()
    close = CloseDeal(**on(), result=result, opportunity_id=OpportunityId("o-1"), source_event_id="e-1")

    deal, claims = town.run(close)

    assert deal == [
        DealClosed(**OF_A, result=result, opportunity_id=OpportunityId("o-1"), source_event_id="e-1", closed_at=NOW),
        ProtectionEnded(**OF_A, reason_code=result, ended_at=NOW),
    ]
    assert claims[0].reason_code == result
    with pytest.raises(WrongState):
        town.run(close)


def test_a_lapsed_deal_can_still_be_won() -> None:
    town = approved()
    town.run(EndProtection(**on(now=END)))

    deal, claims = town.run(
        CloseDeal(**on(now=END), result="won", opportunity_id=OpportunityId("o-1"), source_event_id="e-1")
    )

    assert names(deal) == ["DealClosed"]
    assert claims == []


def test_a_withdrawn_deal_protects_nobody() -> None:
    town = approved()

    deal, claims = town.run(WithdrawDeal(**on(), reason_code="no-budget", by="seller-p-1"))

    assert deal == [
        DealWithdrawn(**OF_A, reason_code="no-budget", withdrawn_by="seller-p-1", withdrawn_at=NOW),
        ProtectionEnded(**OF_A, reason_code="withdrawn", ended_at=NOW),
    ]
    assert names(claims) == ["ClaimReleased"]
    assert town.state(ClaimsOf.at(CONTOSO)).live == ()


PLAIN = {
    "tender": "published",
    "tender_on": date(2026, 5, 4),
    "partner_reference": "P-1",
    "price_reference": "SP-1",
    "fund_reference": "F-1",
    "crm_reference": "C-1",
}


PAPER = Evidence(kind="letter", dated_on=NOW.date(), sha256="a" * 64, size_bytes=7)
SHOWN = ShownDocument(kind="letter", dated_on=NOW.date(), sha256="a" * 64)


@pytest.mark.parametrize("evaluator", [1, 2, 3, 4])
def test_others_hear_all_that_changed_and_is_not_personal(evaluator: int) -> None:
    more = details(amount=money("12000.00", "EUR"), description=SEALED, evidence=(PAPER,), **PLAIN)
    amending, correcting = approved(), returned("amount", "description", "evidence", *PLAIN)

    [amended] = amending.run(AmendDeal(**on(), details=more, by="seller-p-1"), evaluator)[0]
    resubmitted = correcting.run(ResubmitDeal(**around("a", "p-1"), details=more, by="seller-2"), evaluator)[0][0]

    full = PLAIN if evaluator > 1 else dict.fromkeys(PLAIN, LEFT_OUT)
    of = {**OF_A, "amount": more.amount, "evidence": (SHOWN,) if evaluator > 3 else LEFT_OUT}
    assert published(amended) == public.DealAmended(**of, close_on=more.close_on, amended_at=NOW, **full)
    assert published(resubmitted) == public.DealResubmitted(
        **of,
        fields=("amount", "tender", "tender_on", "description", *tuple(PLAIN)[2:], "evidence"),
        close_on=more.close_on if evaluator > 1 else LEFT_OUT,
        resubmitted_at=NOW,
        **full,
    )


@pytest.mark.parametrize("hidden", [{"confidential": True}, {"customer": customer(natural_person=True)}])
def test_of_an_unnamed_customer_others_hear_no_reference_no_tender_and_no_document(hidden: dict[str, Any]) -> None:
    more = details(amount=money("12000.00", "EUR"), evidence=(PAPER,), **PLAIN)
    correcting = Town()
    correcting.register("a", "p-1", **hidden)
    amending = deepcopy(correcting)
    amending.run(approval())
    correcting.run(ReturnDeal(**on(), fields=("amount", "evidence", *PLAIN), message=SEALED, by="desk-1"))

    [amended] = amending.run(AmendDeal(**on(), details=more, by="seller-p-1"))[0]
    resubmitted = correcting.run(ResubmitDeal(**around("a", "p-1"), details=more, by="seller-2"))[0][0]

    assert published(amended) == public.DealAmended(**OF_A, amount=more.amount, close_on=more.close_on, amended_at=NOW)
    assert published(resubmitted) == public.DealResubmitted(
        **OF_A, fields=("amount", *PLAIN, "evidence"), resubmitted_at=NOW, amount=more.amount
    )


def test_an_amendment_keeps_the_protection() -> None:
    town = approved()
    more = details(amount=money("15000.00", "EUR"))

    assert town.run(AmendDeal(**on(), details=more, by="seller-p-1")) == [
        [DealAmended(**OF_A, details=more, amended_by="seller-p-1", amended_at=NOW, in_full=True, documents=True)]
    ]
    assert town.run(AmendDeal(**on(), details=more, by="seller-p-1")) == [[]]
    assert town.state(Deals.at("a")).protection.end == END
