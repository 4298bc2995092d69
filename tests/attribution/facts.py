"""Facts that the tests of attribution start from, written out once."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from chassis.decider import Stream
from chassis.execution import Handles
from contracts.registration import DealApproved
from contracts.values import AccountRef, Participant, ProductLine, RuleRef, Span, money
from services.attribution.application import HANDLES, POLICY_ID, days_of
from services.attribution.domain.connection import ConnectionActivated, ConnectionAdded, Connections
from services.attribution.domain.credit import Credits, credit_id
from services.attribution.domain.crm_change import CrmChange
from services.attribution.domain.crm_record import CrmRecords, record_id
from services.attribution.domain.mirroring import ObserveCrmChange
from services.attribution.domain.opening import OpenOpportunity
from services.attribution.domain.opportunity import Opportunities, OpportunityOpened, OpportunityTouched
from services.attribution.domain.stages import DEFAULT_STAGE_MAP
from services.attribution.domain.touch import RecordTouch, Touches, TouchFact

T0 = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
POOLS = ("sourced", "cosell", "fulfilment", "influenced", "service")
SALE, REG, CONN, DEAL = "sale-1", "reg-1", "conn-1", "10000001"
RECORD = record_id(CONN, DEAL)
ANNE, BEN = "partner-anne", "partner-ben"


def at(days: float = 0, hours: float = 0) -> datetime:
    return T0 + timedelta(days=days, hours=hours)


def handles(command: type) -> Handles:
    return next(h for h in HANDLES if h.command is command)


def touch(
    name: str, partner: str = ANNE, kind: str = "registration_approved", role: str = "source", days: float = 0
) -> TouchFact:
    return TouchFact(touch_id=name, touch_type=kind, role=role, partner_id=partner, touched_at=at(days))


def approved(**changes: object) -> DealApproved:
    given: dict = {
        "registration_id": REG,
        "number": "R-7Q2M4K9X",
        "programme": "default",
        "partner_id": ANNE,
        "role": "resell",
        "deal_type": "new",
        "account": AccountRef(account_id="account-1", country="DE", name="Harbour Works", domain="harbour.example"),
        "participants": (Participant(partner_id=ANNE, role="resell"),),
        "products": (ProductLine(family="cloud"), ProductLine(family="edge"), ProductLine(family="support")),
        "amount": money("10000.00", "EUR"),
        "close_on": date(2026, 6, 30),
        "rules": RuleRef(rulebook_id="deal-default", version=1, sha256="0" * 64),
        "submitted_at": at(-2),
        "protection": Span(start=T0, end=at(90)),
        "exclusive": True,
        "basis": "first-submitted",
        "approved_at": T0,
    }
    return DealApproved(**{**given, **changes})


def touch_wish(
    name: str = "t1", partner: str = ANNE, kind: str = "registration_approved", role: str = "source"
) -> RecordTouch:
    return RecordTouch(
        touch_id=name,
        touch_type=kind,
        partner_id=partner,
        role=role,
        opportunity_id=SALE,
        registration_id=REG,
        touched_at=T0,
        source="registration",
        source_key=f"{REG}:{partner}",
        recorded_by="registration",
        pools=POOLS,
        policy_id=POLICY_ID,
        now=T0,
    )


def open_wish(*touches: RecordTouch) -> OpenOpportunity:
    deal = approved()
    return OpenOpportunity(
        opportunity_id=SALE,
        registration_id=REG,
        number=deal.number,
        programme="default",
        partner_id=ANNE,
        deal_type="new",
        account=deal.account,
        products=deal.products,
        amount=deal.amount,
        close_on=deal.close_on,
        protected_until=at(90),
        touches=touches or (touch_wish(),),
        pools=POOLS,
        policy_id=POLICY_ID,
        now=T0,
    )


def opened() -> OpportunityOpened:
    deal = approved()
    return OpportunityOpened(
        opportunity_id=SALE,
        registration_id=REG,
        number=deal.number,
        programme="default",
        partner_id=ANNE,
        deal_type="new",
        account=deal.account,
        products=deal.products,
        amount=deal.amount,
        close_on=deal.close_on,
        protected_until=at(90),
        opened_at=T0,
    )


def touched(fact: TouchFact | None = None) -> OpportunityTouched:
    return OpportunityTouched(opportunity_id=SALE, registration_id=REG, touch=fact or touch("t1"))


def connected(stage_map: dict[str, str] | None = None) -> tuple[Stream, list]:
    added = ConnectionAdded(
        connection_id=CONN,
        connector="hubspot",
        base_url="https://api.hubapi.com",
        credential_ref="main",
        currency=None,
        zone="Europe/Berlin",
        poll_seconds=60,
        overlap_seconds=600,
        stage_map=stage_map or DEFAULT_STAGE_MAP,
        added_at=at(-30),
    )
    return Connections.at(CONN), [added, ConnectionActivated(connection_id=CONN, described_stages=(), activated_at=T0)]


def change(stage: str = "closedwon", amount: str | None = "10000.00", days: float = 10, **more: object) -> CrmChange:
    given: dict = {
        "external_id": DEAL,
        "modified_at": at(days),
        "stage": stage,
        "amount": amount,
        "currency": "EUR",
        "closed_on": at(days).date() if stage.startswith("closed") else date(2026, 6, 30),
    }
    return CrmChange(**{**given, **more})


def observing(shown: CrmChange, pools: tuple[str, ...] = POOLS) -> ObserveCrmChange:
    return ObserveCrmChange(
        opportunity_id=SALE,
        record_id=RECORD,
        connection_id=CONN,
        change=shown,
        days=days_of(shown, "Europe/Berlin"),
        pools=pools,
        policy_id=POLICY_ID,
        now=shown.modified_at + timedelta(seconds=2),
    )


def sale(*events: object) -> tuple[Stream, list]:
    return Opportunities.at(SALE), list(events)


def record(*events: object) -> tuple[Stream, list]:
    return CrmRecords.at(RECORD), list(events)


def credit(pool: str, *events: object) -> tuple[Stream, list]:
    return Credits.at(credit_id(SALE, pool)), list(events)


def touch_stream(name: str, *events: object) -> tuple[Stream, list]:
    return Touches.at(name), list(events)


def percents(events: list) -> list[tuple[str, Decimal]]:
    """Who has how much in the last of some allocations."""
    return [(share.partner_id, share.percent) for share in events[-1].shares]
