"""What comes to a deal on its way: drafts, evidence, orders, references, a successor, a duplicate."""

from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest

from chassis.decider import NotFound, WrongState
from chassis.event import LEFT_OUT, Sealed, replace
from chassis.testing.projections import told
from contracts import registration as public
from contracts.values import AccountId, PartnerId, RegistrationId, ShownDocument, money
from services.registration.domain.claim import Proof
from services.registration.domain.claims import ClaimHeld, ClaimMerged, ClaimReleased, ClaimsOf, ClaimSupported
from services.registration.domain.customer import Identifier, as_person
from services.registration.domain.deal import AlreadyRegistered, Deals
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    GivesWay,
    MergeDuplicate,
    RecordOrder,
    RejectDeal,
    SaveDraft,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    DealApproved,
    DealWithdrawn,
    DraftDiscarded,
    DraftSaved,
    DuplicateMerged,
    Evidence,
    EvidenceAdded,
    OrderRecorded,
    ProtectionEnded,
)
from services.registration.domain.ending import ApprovedSurvives, NotDuplicate
from services.registration.domain.keeping import NotDistributor, TooMuchEvidence
from services.registration.domain.partner_reference import ReferenceTaken
from services.registration.publishing import publish
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, customer, details, product

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
OF_B = {**OF_A, "registration_id": "b", "number": "R-b"}
REPLACES_A = GivesWay(registration_id=RegistrationId("a"), accounts=(CONTOSO,))


def on(deal: str = "a", **changes: Any) -> dict[str, Any]:
    return {"registration_id": deal, "accounts": (CONTOSO,), "now": NOW, **changes}


def status(town: Town, deal: str = "a") -> str:
    return str(town.state(Deals.at(deal)).status)


def draft(**changes: Any) -> SaveDraft:
    fields = {**OF_A, "body": SEALED, "by": "seller-p-1", "now": NOW, **changes}
    return SaveDraft(**fields)


def proof(number: int, kind: str = "mail") -> Evidence:
    return Evidence(kind=kind, dated_on=date(2026, 3, 1), sha256=f"{number:064x}", size_bytes=100)


# Drafts


def test_a_draft_is_kept_and_holds_no_place_in_line() -> None:
    town = Town()

    assert town.run(draft()) == [[DraftSaved(**OF_A, body=SEALED, saved_by="seller-p-1", saved_at=NOW)]]
    assert town.run(draft()) == [[]]
    assert (status(town), town.of(ClaimsOf.at(CONTOSO))) == ("draft", [])


def test_a_draft_is_registered_once_and_is_a_draft_no_more() -> None:
    town = Town()
    town.run(draft())

    town.register("a", "p-1")

    assert status(town) == "in_review"
    with pytest.raises(WrongState):
        town.run(draft(body=Sealed(subject="deal-a", box="other")))


def test_a_discarded_draft_is_told_to_nobody() -> None:
    town = Town()
    town.run(draft())

    assert town.run(WithdrawDeal(**on(accounts=()), reason_code="withdrawn", by="seller-p-1")) == [
        [DraftDiscarded(**OF_A, discarded_by="seller-p-1", discarded_at=NOW)]
    ]
    assert status(town) == "withdrawn"


# References, confidentiality, persons


def test_one_reference_stands_for_one_deal_of_a_partner() -> None:
    town = Town()
    mine = details(partner_reference="PO-7")
    town.register("a", "p-1", details=mine)

    with pytest.raises(ReferenceTaken) as refused:
        town.register("b", "p-1", details=mine, products=(product("200"),))
    assert refused.value.fields == {"registration_id": "a"}
    town.register("c", "p-2", details=mine, products=(product("300"),))


def test_an_amendment_takes_its_new_reference_and_keeps_its_own() -> None:
    town = Town()
    town.register("a", "p-1", details=details(partner_reference="PO-7"))
    town.run(approval())
    mine = {**on(), "partner_id": PartnerId("p-1"), "by": "seller-p-1"}

    _, kept = town.run(AmendDeal(**mine, details=details(partner_reference="PO-7", crm_reference="C-1")))
    _, taken = town.run(AmendDeal(**mine, details=details(partner_reference="PO-8")))

    assert (kept, [one.reference for one in taken]) == ([], ["PO-8"])


def test_a_confidential_deal_is_announced_without_its_customer() -> None:
    town = Town()

    registered = town.register("a", "p-1", confidential=True)[0]

    assert (registered.terms.account.name, registered.terms.account.domain) == (None, None)
    assert registered.customer.name == "Contoso GmbH"


SAID = {"tender": "planned", "tender_on": date(2026, 5, 4), "partner_reference": "P-1", "price_reference": "SP-1"}
UNSAID = {"fund_reference": None, "crm_reference": None}
PAPER = Evidence(kind="letter", dated_on=date(2026, 3, 2), sha256="a" * 64, size_bytes=7)


def announced(**changes: Any) -> public.DealRegistered:
    """What others hear of a deal with references and a tender that succeeds another one."""
    town = Town()
    town.register("a", "p-1")
    registered = town.register(
        "b", "p-1", scope="site", details=details(**SAID, evidence=(PAPER,)), replaces=REPLACES_A, **changes
    )[0]
    [heard] = [publish(seen) for seen in told(registered)]
    assert isinstance(heard, public.DealRegistered)
    return heard


def test_others_hear_all_of_a_registration_that_is_not_personal() -> None:
    before = announced()
    heard = announced(in_full=True)

    told_too = {"scope": "site", "confidential": False, "replaces": RegistrationId("a"), **SAID, **UNSAID}
    assert heard == replace(before, **told_too)
    assert {getattr(before, name) for name in told_too} == {LEFT_OUT}, (
        "what was asked for before says as much as it did"
    )
    shown = ShownDocument(kind="letter", dated_on=date(2026, 3, 2), sha256="a" * 64)
    assert announced(in_full=True, documents=True) == replace(heard, evidence=(shown,))


@pytest.mark.parametrize(
    ("hidden", "confidential"), [({"confidential": True}, True), ({"customer": customer(natural_person=True)}, False)]
)
def test_an_unnamed_customer_is_not_given_away_by_a_reference_a_tender_or_a_document(
    hidden: dict[str, Any], confidential: bool
) -> None:
    heard = announced(in_full=True, documents=True, **hidden)

    assert (heard.scope, heard.confidential, heard.replaces) == ("site", confidential, "a")
    assert {getattr(heard, name) for name in (*SAID, *UNSAID, "evidence")} == {LEFT_OUT}


def test_nothing_in_the_open_names_a_natural_person() -> None:
    known = customer(
        name="Erika Mustermann",
        street="Weg 1",
        postcode="12345",
        normal_names=("erika mustermann",),
        identifiers=(Identifier(scheme="tax", country="DE", value="36574261809", valid=True),),
    )

    kept = as_person(known, SEALED, lambda value: f"hash of {len(value)}")

    assert kept == customer(
        name="",
        normal_names=(),
        natural_person=True,
        private=SEALED,
        identifiers=(Identifier(scheme="tax", country="DE", value="hash of 14", valid=True),),
    )


# Evidence


def test_evidence_is_added_once_while_the_deal_lives() -> None:
    town = Town()
    town.register("a", "p-1")

    assert town.run(AddEvidence(**on(), evidence=(proof(1), proof(1)), by="seller-p-1")) == [
        [EvidenceAdded(**OF_A, evidence=(proof(1),), added_by="seller-p-1", added_at=NOW)],
        [
            ClaimSupported(
                registration_id="a",
                evidence=(Proof(kind="mail", dated_on=date(2026, 3, 1)),),
                supported_at=NOW,
            )
        ],
    ]
    assert town.run(AddEvidence(**on(), evidence=(proof(1),), by="seller-p-1")) == [[], []]
    town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))
    with pytest.raises(WrongState):
        town.run(AddEvidence(**on(), evidence=(proof(2),), by="seller-p-1"))


def test_the_twenty_first_document_is_refused() -> None:
    town = Town()
    town.register("a", "p-1", details=details(evidence=tuple(proof(n) for n in range(20))))

    with pytest.raises(TooMuchEvidence):
        town.run(AddEvidence(**on(), evidence=(proof(20),), by="seller-p-1"))


# Orders


def order(who: str | None = "p-1", ref: str = "SO-1") -> RecordOrder:
    return RecordOrder(
        **on(),
        order_ref=ref,
        amount=money("900.00", "EUR"),
        ordered_on=date(2026, 3, 2),
        recorded_for=PartnerId(who) if who else None,
        by="seller",
    )


def test_a_distributor_records_an_order_once() -> None:
    town = Town()
    town.register("a", "p-1", role="distribute")
    town.run(approval())

    assert town.run(order()) == [
        [
            OrderRecorded(
                **OF_A,
                order_ref="SO-1",
                amount=money("900.00", "EUR"),
                ordered_on=date(2026, 3, 2),
                recorded_for=PartnerId("p-1"),
                recorded_by="seller",
                recorded_at=NOW,
                distributor_id=PartnerId("p-1"),
            )
        ]
    ]
    assert town.run(order(who=None)) == [[]]


def test_as_the_first_evaluator_decided_an_order_was_told_without_its_distributor() -> None:
    town = Town()
    town.register("a", "p-1", role="distribute")
    town.run(approval())

    [[booked]] = town.run(order(), evaluator=1)

    assert (booked.recorded_for, booked.distributor_id) == ("p-1", LEFT_OUT)


def test_who_does_not_distribute_records_no_order() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())

    with pytest.raises(NotDistributor):
        town.run(order())


# A successor


def test_a_successor_may_overlap_what_it_replaces() -> None:
    town = Town()
    town.register("a", "p-1")

    with pytest.raises(AlreadyRegistered):
        town.register("b", "p-1")
    town.register("b", "p-1", replaces=REPLACES_A)

    assert (status(town), status(town, "b")) == ("in_review", "in_review")


def test_the_old_deal_holds_until_its_successor_is_approved_and_ends_in_that_commit() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    town.register("b", "p-1", replaces=REPLACES_A)
    town.register("c", "p-2")
    assert status(town) == "approved"

    deal, claims, old = town.run(approval("b", gives_way=(REPLACES_A,)))

    assert isinstance(deal[0], DealApproved)
    assert [type(one) for one in claims] == [ClaimHeld, ClaimReleased]
    assert claims[1].frees == (), "who waits behind the old deal waits behind its successor"
    assert old == [
        DealWithdrawn(**OF_A, reason_code="replaced", withdrawn_by="replaced", withdrawn_at=NOW),
        ProtectionEnded(**OF_A, reason_code="withdrawn", ended_at=NOW),
    ]
    assert (status(town), status(town, "b"), status(town, "c")) == ("withdrawn", "approved", "waiting")


def test_a_rejected_successor_leaves_the_old_deal_as_it_is() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    town.register("b", "p-1", replaces=REPLACES_A)

    town.run(RejectDeal(**on("b"), reason_code="other", message=SEALED, by="desk-1"))

    assert status(town) == "approved"


def test_another_partners_deal_cannot_be_replaced() -> None:
    town = Town()
    town.register("a", "p-1")

    with pytest.raises(NotFound):
        town.register("b", "p-2", replaces=REPLACES_A)


# A duplicate


def duplicate(deal: str, into: str, **changes: Any) -> MergeDuplicate:
    fields = {**on(deal), "into": RegistrationId(into), "into_accounts": (CONTOSO,), "by": "desk-1", **changes}
    return MergeDuplicate(**fields)


def test_a_duplicate_gives_its_earlier_place_to_the_deal_that_goes_on() -> None:
    town = Town()
    town.register("a", "p-1")
    town.register("r", "p-2", now=NOW + timedelta(hours=1))
    town.register("b", "p-1", products=(product("200"),), now=NOW + timedelta(hours=2))

    gone, stays, claims = town.run(duplicate("a", "b"))

    assert gone == [
        DealWithdrawn(
            **OF_A,
            reason_code="duplicate",
            merged_into=RegistrationId("b"),
            withdrawn_by="desk-1",
            withdrawn_at=NOW,
            told_into=RegistrationId("b"),
        )
    ]
    assert stays == [
        DuplicateMerged(
            **OF_B,
            merged_id=RegistrationId("a"),
            merged_number="R-a",
            submitted_at=NOW,
            merged_by="desk-1",
            merged_at=NOW,
        )
    ]
    assert [type(one) for one in claims] == [ClaimMerged, ClaimReleased]
    assert [claim.registration_id for claim in town.state(ClaimsOf.at(CONTOSO)).live] == ["b", "r"]
    assert town.state(Deals.at("b")).submitted_at == NOW


def test_others_hear_which_deal_goes_on_for_a_duplicate_but_as_the_first_evaluator_decided() -> None:
    town = Town()
    town.register("a", "p-1")
    town.register("b", "p-1", products=(product("200"),), now=NOW + timedelta(hours=2))
    withdrawn = public.DealWithdrawn(
        registration_id=RegistrationId("a"),
        number="R-a",
        programme="default",
        partner_id=PartnerId("p-1"),
        reason_code="duplicate",
        withdrawn_at=NOW,
    )

    for evaluator, heard in ((1, withdrawn), (2, replace(withdrawn, into=RegistrationId("b")))):
        [gone], _, _ = deepcopy(town).run(duplicate("a", "b"), evaluator)
        assert [heard] == [publish(seen) for seen in told(gone)]


@pytest.mark.parametrize(("deal", "into"), [("a", "r"), ("a", "a"), ("a", "other")])
def test_only_two_deals_of_one_partner_on_one_customer_are_duplicates(deal: str, into: str) -> None:
    town = Town()
    town.register("a", "p-1")
    town.register("r", "p-2")
    elsewhere = AccountId("elsewhere")
    town.register("other", "p-1", keys=(), accounts=(elsewhere,))

    with pytest.raises(NotDuplicate):
        town.run(duplicate(deal, into, into_accounts=(elsewhere,) if into == "other" else (CONTOSO,)))


def test_an_approved_deal_is_not_merged_into_one_in_review() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    town.register("b", "p-1", products=(product("200"),))

    with pytest.raises(ApprovedSurvives):
        town.run(duplicate("a", "b"))
