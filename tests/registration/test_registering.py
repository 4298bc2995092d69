"""A deal is registered: screened, recorded, placed."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from chassis.decider import Raced, Stream
from chassis.event import LEFT_OUT
from chassis.execution import Peek
from chassis.rulebook import DraftRules, Reason, Rulebook, Rules, RulesInvalid, draft_as_before, draft_rules
from chassis.testing.kit import given
from contracts.values import AccountId, AccountRef, Participant, PartnerId, RegistrationId, RuleRef, money
from services.registration.adapters.customers import Libraries
from services.registration.application.ports import Near
from services.registration.application.registering import Submission, prepare_registration
from services.registration.domain.account import AccountOpened, Accounts, IdentityConfirmed
from services.registration.domain.account_key import AccountKeys, Key, KeyBound, keys_of
from services.registration.domain.claims import ClaimHeld, ClaimPlaced, ClaimQueued, ClaimsOf
from services.registration.domain.customer import Customer, Identifier
from services.registration.domain.deal import AlreadyRegistered, Deals, Incomplete, NoRules, PartnerUnknown
from services.registration.domain.deal_commands import RegisterDeal
from services.registration.domain.deal_events import (
    ConflictDetected,
    DealApproved,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealScreened,
    StepOpened,
    Terms,
)
from services.registration.domain.lead_rules import Gate
from services.registration.domain.matching import IndexSeen
from services.registration.domain.overlap import Place, Reach
from services.registration.domain.partner_facts import PartnerFacts, Partners
from services.registration.domain.rules import Matching
from services.registration.domain.screening import DEAL_RULES, explained
from tests.registration.deals import (
    BY_COMMAND,
    CONTOSO,
    NOW,
    Town,
    approval,
    candidate,
    customer,
    details,
    partner_facts,
    product,
    rules,
    wish,
)

REGISTER = BY_COMMAND[RegisterDeal]
DOMAIN = Key(scheme="domain", value="contoso.com")
REACH = Reach(products=(product(),), role="resell", deal_type="new", place=Place(country="DE"))


def names(events: list[object]) -> list[str]:
    return [type(happened).__name__ for happened in events]


def test_a_first_registration_opens_the_account_binds_its_key_and_waits_for_review() -> None:
    published = rules()
    scenario = given(REGISTER, (Rules.at("default"), [published]), (Partners.at("p-1"), [partner_facts()]))

    happened = scenario.when(wish()).verdict

    registered, screened, opened = happened.events[0]
    assert registered == DealRegistered(
        registration_id="a",
        number="R-a",
        programme="default",
        partner_id="p-1",
        terms=Terms(
            account=AccountRef(account_id=CONTOSO, country="DE", name="Contoso GmbH", domain="contoso.com"),
            participants=(Participant(partner_id=PartnerId("p-1"), role="resell"),),
            products=(product(),),
            role="resell",
            deal_type="new",
            amount=money("10000.00", "EUR"),
            close_on=date(2026, 6, 1),
            territory="DE",
            rules=RuleRef(rulebook_id="default", version=1, sha256=published.sha256),
            submitted_at=NOW,
        ),
        customer=customer(),
        reach=REACH,
        details=details(),
        accounts=(CONTOSO,),
        zone="UTC",
        submitted_by="seller-p-1",
    )
    assert screened.screening.outcome == "review"
    assert [check.code for check in screened.screening.failed] == ["review-required"]
    assert screened.facts.partner == PartnerFacts(revision=1, types=("reseller",), event_id="activated-p-1", position=7)
    assert opened == StepOpened(
        registration_id="a",
        number="R-a",
        programme="default",
        partner_id="p-1",
        step=0,
        role="deal_desk",
        target_at=datetime(2026, 3, 2, 17, 0, tzinfo=UTC),
        due_at=datetime(2026, 3, 4, 17, 0, tzinfo=UTC),
        opened_at=NOW,
    )
    assert happened.events[1:] == (
        [AccountOpened(account_id=CONTOSO, customer=customer(), keys=(DOMAIN,), registration_id="a", opened_at=NOW)],
        [KeyBound(scheme="domain", value="contoso.com", account_id=CONTOSO, registration_id="a", bound_at=NOW)],
        [
            ClaimPlaced(
                registration_id="a",
                partner_id="p-1",
                reach=REACH,
                priority="first_to_register",
                submitted_at=NOW,
                placed_at=NOW,
                priorities=("first_to_register",),
            )
        ],
    )


def test_the_same_registration_again_changes_nothing() -> None:
    town = Town()
    town.register("a")

    assert town.run(wish("a"))[0] == []


def test_a_rival_that_asks_later_waits_and_learns_its_place() -> None:
    town = Town()
    town.register("a", "p-1")

    _registered, _screened, conflict, queued = town.register("b", "p-2")

    rule = Reason(
        code="rival-ahead", text="Another partner holds this customer, or asked first.", rule="default", version=1
    )
    of_b = {"registration_id": "b", "number": "R-b", "programme": "default", "partner_id": "p-2"}
    assert conflict == ConflictDetected(
        **of_b,
        screening_id="screening-b",
        match="identical",
        outcome="queue",
        rivals=("a",),
        free_on=None,
        detected_at=NOW,
    )
    assert queued == DealQueued(**of_b, place=1, free_on=None, reasons=(rule,), queued_at=NOW)
    assert names(town.of(ClaimsOf.at(CONTOSO))) == ["ClaimPlaced", "ClaimPlaced", "ClaimQueued"]


@pytest.mark.parametrize(
    "changes",
    [{"products": (product("200"),)}, {"role": "distribute"}, {"deal_type": "renewal"}],
)
def test_what_does_not_overlap_does_not_wait(changes: dict[str, object]) -> None:
    town = Town()
    town.register("a", "p-1")

    assert names(town.register("b", "p-2", **changes)) == ["DealRegistered", "DealScreened"]


def test_done_when_3_another_sku_or_role_is_approved_beside_a_hold_and_what_shares_a_sku_waits() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval("a", "p-1"))
    town.register("b", "p-2", products=(product("200"),))
    town.register("c", "p-3", products=(product("100"), product("200")))
    town.register("d", "p-3", role="distribute")

    for deal, partner in (("b", "p-2"), ("d", "p-3")):
        town.run(approval(deal, partner))

    statuses = [str(town.state(Deals.at(deal)).status) for deal in "abcd"]
    assert statuses == ["approved", "approved", "waiting", "approved"]


def test_the_same_wish_elsewhere_is_reviewed_even_where_rules_approve() -> None:
    town = Town(auto_approval={"on": True, "limits": [{"amount": "50000.00", "currency": "EUR"}]})
    town.register("a", "p-1")

    events = town.register("b", "p-2", customer=customer(country="AT"))

    assert names(events) == ["DealRegistered", "DealScreened"]
    assert [check.code for check in events[1].screening.failed] == ["other-place"]


def test_a_partner_cannot_register_the_same_twice() -> None:
    town = Town()
    town.register("a", "p-1")

    with pytest.raises(AlreadyRegistered) as refused:
        town.register("b", "p-1")

    assert refused.value.fields == {"registration_id": "a"}


def test_done_when_2_two_first_registrations_of_one_domain_share_one_account() -> None:
    town = Town()
    town.register("a", "p-1")

    with pytest.raises(Raced):
        town.run(wish("b", "p-2", accounts=(AccountId("account-of-b"),)))

    assert town.register("b", "p-2")[0].accounts == (CONTOSO,)
    assert names(town.of(Accounts.at(CONTOSO))) == ["AccountOpened"]


def test_an_unknown_partner_may_try_again() -> None:
    with pytest.raises(PartnerUnknown) as refused:
        Town("p-1").register("a", "stranger")

    assert not refused.value.recorded
    assert refused.value.fields == {"retry_after_seconds": 2}


def test_without_rules_nothing_is_registered() -> None:
    scenario = given(REGISTER, (Partners.at("p-1"), [partner_facts()]))

    scenario.when(wish()).refused(NoRules)


@pytest.mark.parametrize(
    ("body", "changes", "code"),
    [
        ({"minimums": [{"amount": "10000.01", "currency": "EUR"}]}, {}, "below-minimum"),
        ({"roles": ["referral"]}, {}, "role-not-allowed"),
        ({}, {"details": details(tender="published")}, "tender"),
    ],
)
def test_a_check_that_rejects_decides(body: dict[str, object], changes: dict[str, object], code: str) -> None:
    town = Town(**body)

    events = town.register("a", **changes)

    assert names(events) == ["DealRegistered", "DealScreened", "DealRejected"]
    assert [reason.code for reason in events[-1].reasons] == [code]
    assert town.of(ClaimsOf.at(CONTOSO)) == []


def test_a_suspended_partner_is_rejected_with_the_event_that_said_so() -> None:
    town = Town("p-9")
    town.keep(Partners.at("p-1"), [partner_facts(suspended=("new_business",))])

    events = town.register("a", "p-1")

    check = events[1].screening.failed[0]
    assert (check.code, check.event_id, check.position) == ("partner-not-active", "activated-p-1", 7)
    assert names(events)[-1] == "DealRejected"


@pytest.mark.parametrize(
    ("last_day", "stays", "code"),
    [(0, False, "partner-not-active"), (1, False, None), (0, True, None)],
    ids=["on its last day", "the day before", "called off"],
)
def test_a_partner_that_leaves_registers_nothing_from_its_last_business_day_on(
    last_day: int, stays: bool, code: str | None
) -> None:
    town = Town("p-9")
    day = NOW.astimezone(UTC).date() + timedelta(days=last_day)
    leaving = replace(partner_facts(), revision=2, last_business_day=day)
    back = [replace(leaving, revision=3, last_business_day=LEFT_OUT, stays=True)] if stays else []
    town.keep(Partners.at("p-1"), [partner_facts(), leaving, *back])
    failed = town.register("a", "p-1")[1].screening.failed
    assert [check.code for check in failed if check.name == "partner"] == ([code] if code else [])


def test_a_minimum_in_another_currency_says_nothing() -> None:
    town = Town(minimums=[{"amount": "10000.01", "currency": "USD"}])

    assert names(town.register("a")) == ["DealRegistered", "DealScreened"]


def test_clean_deals_are_approved_by_the_rules_up_to_their_limit() -> None:
    body = {"auto_approval": {"on": True, "limits": [{"amount": "10000.00", "currency": "EUR"}]}}

    within = Town(**body).register("a")
    above = Town(**body).register("a", details=details(amount=money("10000.01", "EUR")))

    assert names(within) == ["DealRegistered", "DealScreened", "DealApproved"]
    assert within[-1].approved_by is None
    assert within[-1].protection.end == datetime(2026, 6, 1, 0, 0, tzinfo=UTC)
    assert names(above) == ["DealRegistered", "DealScreened"]


def test_a_similar_name_stops_the_rules_from_approving() -> None:
    town = Town(auto_approval={"on": True, "limits": [{"amount": "10000.00", "currency": "EUR"}]})

    possible = town.register("a", candidates=(candidate(token_set_percent=100),))

    assert [check.code for check in possible[1].screening.failed] == ["similar-customer"]


def test_a_rivals_claim_on_a_similar_customer_is_a_conflict_that_blocks_nobody() -> None:
    town = Town()
    town.register("a", "p-1")
    alike = candidate(CONTOSO, token_set_percent=100)
    other = {"keys": (Key(scheme="domain", value="contoso.de"),), "accounts": (AccountId("account-2"),)}

    events = town.register("b", "p-2", candidates=(alike,), **other)

    assert names(events) == ["DealRegistered", "DealScreened", "ConflictDetected"]
    assert events[-1].match == "possible"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"same_phone": True}, "possible"),
        ({"same_phone": True, "same_address": True}, LEFT_OUT),
        ({"same_address": True}, LEFT_OUT),
        ({}, LEFT_OUT),
    ],
)
def test_a_conflict_tells_its_partner_another_class_only_where_a_telephone_number_alone_makes_it_probable(
    seen: dict[str, Any], told: Any
) -> None:
    town = Town()
    town.register("a", "p-1")
    alike = candidate(CONTOSO, token_set_percent=100, token_sort_percent=100, **seen)
    other = {"keys": (Key(scheme="domain", value="contoso.de"),), "accounts": (AccountId("account-2"),)}

    *_, conflict = town.register("b", "p-2", candidates=(alike,), **other)

    assert conflict.told_match == told


def test_the_queue_takes_ten_and_no_more() -> None:
    town = Town(*(f"p-{n}" for n in range(12)))
    for n in range(11):
        town.register(f"d-{n}", f"p-{n}")

    *_, last = town.register("d-11", "p-11")

    assert town.of(ClaimsOf.at(CONTOSO))[-1].registration_id == "d-10"
    assert isinstance(last, DealRejected)
    assert [reason.code for reason in last.reasons] == ["queue-full"]


def test_where_the_first_to_approve_wins_nobody_waits_for_a_review() -> None:
    town = Town(priority="first_to_approve")
    town.register("a", "p-1")

    events = town.register("b", "p-2")

    assert names(events) == ["DealRegistered", "DealScreened", "ConflictDetected"]
    assert [check.code for check in events[1].screening.failed] == ["rival-claims", "review-required"]


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"details": details(close_on=date(2026, 3, 1))}, "close_on", "out-of-range"),
        ({"details": details(close_on=date(2029, 3, 3))}, "close_on", "out-of-range"),
        ({"details": details(amount=money("0.00", "EUR"))}, "amount", "not-positive"),
        ({}, "description", "required"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, object], path: str, code: str) -> None:
    required = [] if changes else ["description"]

    with pytest.raises(Incomplete) as refused:
        Town(required=required).register("a", **changes)

    assert [(error["path"], error["code"]) for error in refused.value.fields["errors"]] == [(path, code)]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("trade_names", {"customer": customer(trade_names=("Contoso",))}),
        ("tender_on", {"details": details(tender="planned", tender_on=date(2026, 4, 1))}),
        ("price_reference", {"details": details(price_reference="SP-1")}),
        ("fund_reference", {"details": details(fund_reference="F-1")}),
        ("crm_reference", {"details": details(crm_reference="C-1")}),
        ("close_on", {"unsaid": LEFT_OUT}),
    ],
)
def test_rules_may_require_every_optional_field(field: str, given: dict[str, object]) -> None:
    body = {"required": [field], "tenders_allowed": True}
    assert DEAL_RULES.check(DEAL_RULES.read(body)) == []

    with pytest.raises(Incomplete) as refused:
        Town(**body).register("a", unsaid=("close_on",))

    assert [error["path"] for error in refused.value.fields["errors"]] == [field]
    assert isinstance(Town(**body).register("a", **{"unsaid": ("close_on",), **given})[0], DealRegistered)


def test_drafts_that_were_refused_for_a_field_that_nobody_could_require_are_refused_again() -> None:
    draft = {"rulebook_id": "default", "kind": "deal_rules", "scope": "default", "examples": (), "author": "ada"}
    asked = DraftRules(**draft, body={"required": ["close_on"]}, now=NOW)  # type: ignore[arg-type]
    kinds = {DEAL_RULES.name: DEAL_RULES}

    assert len(draft_rules(kinds, asked, Rulebook())) == 1
    with pytest.raises(RulesInvalid) as refused:
        draft_as_before(kinds, asked, Rulebook())
    assert refused.value.fields["errors"][0]["message"] == (
        "required fields are some of contacts, description, partner_reference, evidence, postcode, street, region, "
        "identifiers"
    )


def test_identifiers_come_before_the_domain_and_free_mail_is_no_key() -> None:
    vat = Identifier(scheme="vat", country="DE", value="129273398", valid=True)
    unchecked = Identifier(scheme="vat", country="US", value="1", valid=False)

    assert keys_of(customer(identifiers=(unchecked, vat)), Matching()) == (
        Key(scheme="vat", value="DE:129273398"),
        DOMAIN,
    )
    assert keys_of(customer(domain="gmail.com"), Matching()) == ()


@pytest.mark.parametrize(
    "website",
    [
        *("contoso.wordpress.com", "https://sites.google.com/view/contoso", "facebook.com/contoso"),
        *("https://de.linkedin.com/company/contoso", "contoso.weebly.com", "pm.me", "gmx.at", "yahoo.de"),
        *("hotmail.fr", "comcast.net", "sfr.fr", "contoso.sharepoint.com"),
    ],
)
def test_what_stands_on_somebody_else_s_domain_has_no_key_of_its_own(website: str) -> None:
    assert keys_of(customer(domain=Libraries().domain(website)), Matching()) == ()


def test_a_site_on_a_host_that_tells_its_customers_apart_is_a_key() -> None:
    mine, theirs = (Libraries().domain(f"{name}.github.io") for name in ("contoso", "fabrikam"))

    assert keys_of(customer(domain=mine), Matching()) == (Key(scheme="domain", value="contoso.github.io"),)
    assert mine != theirs


def test_rules_for_leads_hold_back_what_they_always_did() -> None:
    assert len(Gate().free_mail) == 35
    assert set(Gate().free_mail) < set(Matching().shared_domains)
    assert "pm.me" not in Gate().free_mail


class Log:
    """What is recorded in a town, as a registration is prepared on it."""

    def __init__(self, town: Town) -> None:
        self.town = town

    async def __call__(self, stream: Stream) -> Any:
        return self.town.state(stream)

    async def all(self, streams: Iterable[Stream]) -> list[Any]:
        return [self.town.state(stream) for stream in streams]


class NobodyNear:
    async def near(self, tenant: str, customer: Customer, accounts: Iterable[AccountId]) -> Near:
        return Near(candidates=(), index=IndexSeen(version=1, position=0))


async def test_a_number_leads_to_the_customer_to_whom_it_was_bound_in_an_earlier_form() -> None:
    town, bound = Town(), Key(scheme="vat", value="CH:CHE107787577MWST")
    opened = {"scheme": bound.scheme, "value": bound.value, "account_id": CONTOSO, "registration_id": "r"}
    town.keep(AccountKeys.at(bound.identity), [KeyBound(**opened, bound_at=NOW)])
    vat = Identifier(scheme="vat", country="CH", value="CHE107787577", valid=True)
    asked = Submission(
        registration_id=RegistrationId("a"),
        programme="default",
        partner_id=PartnerId("p-1"),
        customer=customer(domain=None, country="CH", identifiers=(vat,)),
        products=(product(),),
        role="resell",
        deal_type="new",
        scope="entity",
        details=details(),
        screening_id="s",
        by="seller",
        now=NOW,
    )

    made = await prepare_registration(cast("Peek", Log(town)), NobodyNear(), "acme", asked)

    assert (made.accounts, made.keys) == ((CONTOSO,), (replace(bound, account_id=CONTOSO),))


def test_who_has_no_key_asks_for_confirmation() -> None:
    town = Town()
    events = town.register("a", keys=())
    town.keep(Accounts.at(CONTOSO), [IdentityConfirmed(account_id=CONTOSO, confirmed_by="desk", confirmed_at=NOW)])

    assert [check.code for check in events[1].screening.failed] == ["identity-unconfirmed", "review-required"]
    again = town.register("b", "p-2", keys=(), products=(product("200"),))
    assert [check.code for check in again[1].screening.failed] == ["review-required"]


def test_keys_of_two_accounts_enter_the_claim_in_both_and_force_a_review() -> None:
    town = Town(auto_approval={"on": True, "limits": [{"amount": "10000.00", "currency": "EUR"}]})
    vat = Key(scheme="vat", value="DE:1")
    town.register("a", "p-1")
    town.register("b", "p-2", keys=(vat,), accounts=(AccountId("account-vat"),), products=(product("200"),))

    events = town.register("c", "p-3", keys=(vat, DOMAIN), products=(product("300"),))

    assert events[0].accounts == ("account-vat", CONTOSO)
    assert [check.code for check in events[1].screening.failed] == ["several-accounts"]
    assert isinstance(town.of(ClaimsOf.at(CONTOSO))[-1], ClaimPlaced)
    assert town.of(AccountKeys.at(DOMAIN.identity)) == [
        KeyBound(scheme="domain", value="contoso.com", account_id=CONTOSO, registration_id="a", bound_at=NOW)
    ]


def test_a_hold_whose_end_has_passed_binds_nobody_ticked_or_not() -> None:
    town = Town(auto_approval={"on": True, "limits": [{"amount": "10000.00", "currency": "EUR"}]})
    approved = town.register("a", "p-1")[-1]
    later = approved.protection.end
    close_on = later.date() + timedelta(days=30)

    before = town.register("b", "p-2", now=later - timedelta(seconds=1), details=details(close_on=close_on))
    at_the_end = Town.register(town, "c", "p-3", now=later, role="resell", details=details(close_on=close_on))

    assert isinstance(approved, DealApproved)
    assert isinstance(before[-1], DealQueued)
    assert before[-1].free_on == date(2026, 6, 8)
    assert isinstance(at_the_end[-1], DealQueued), "b has waited longer and is next"
    assert isinstance(town.of(ClaimsOf.at(CONTOSO))[1], ClaimHeld)
    assert isinstance(town.of(ClaimsOf.at(CONTOSO))[-1], ClaimQueued)


def test_a_screening_explains_itself_and_runs_again_to_the_same() -> None:
    town = Town(minimums=[{"amount": "20000.00", "currency": "EUR"}])
    screened: DealScreened = town.register("a", "p-1")[1]

    decision = explained(screened.screening, screened.rules)

    assert [(c.code, c.outcome) for c in decision.would_change] == [
        ("below-minimum", "review"),
        ("review-required", "reject"),
    ]
    assert [known.name for known in decision.inputs][:4] == ["partner", "role", "minimum", "tender"]
    assert DEAL_RULES.evaluate(screened.facts, DEAL_RULES.read({"minimums": []})).outcome == "review"
    body = rules(minimums=[{"amount": "20000.00", "currency": "EUR"}]).body
    assert replace(DEAL_RULES.evaluate(screened.facts, DEAL_RULES.read(body)), reasons=()) == replace(
        decision, reasons=()
    )
