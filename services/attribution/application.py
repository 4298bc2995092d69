"""What attribution can do: every command with the streams it touches, how some are prepared, and the CRM port."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Protocol, TypedDict
from zoneinfo import ZoneInfo

from chassis.event import frozen, stable_id
from chassis.execution import Handles, Peek
from chassis.rulebook import Rules
from contracts.registration import DealApproved, ParticipantJoined
from contracts.values import OpportunityId, PartnerId
from services.attribution.domain import connection, crediting, merger, mirroring, opening
from services.attribution.domain.connection import Connection, Connections, Phase
from services.attribution.domain.credit import Credit, Credits, ReviseCredit, credit_id, revise_credit
from services.attribution.domain.credit_policy import CREDIT_POLICY, KIND
from services.attribution.domain.crm_change import CrmChange
from services.attribution.domain.crm_record import CrmRecord, CrmRecords, record_id
from services.attribution.domain.incumbency import Incumbencies, Incumbency, SetIncumbent, set_incumbent
from services.attribution.domain.merger import Merger, MergersOf
from services.attribution.domain.mirroring import Days, ObserveCrmChange, ReleaseCrmChange
from services.attribution.domain.opening import FollowMerger, OpenOpportunity
from services.attribution.domain.opportunity import Opportunities, Opportunity
from services.attribution.domain.touch import RecordTouch, Touches, kind_of, role_of, touch_id

KINDS = {KIND: CREDIT_POLICY}
POLICY_ID = "credit-default"
"""The rulebook that allocates credit."""
REGISTRATION = "registration"


# The CRM as this service needs it


@frozen
class CrmRow:
    """A row as the CRM answers it, raw. `opportunity_id` is the id that we wrote into it, if we did."""

    external_id: str
    modified_at: datetime
    stage: str
    opportunity_id: str | None = None
    amount: str | None = None
    currency: str | None = None
    refunded: str | None = None
    close_at: datetime | None = None
    lost_reason: str | None = None


@frozen
class CrmWish:
    """What the CRM should say of one sale. `creation` is written only where the row is made; `stage` there is raw."""

    opportunity_id: str
    external_id: str | None
    fields: Mapping[str, str]
    creation: Mapping[str, str]


@frozen
class CrmWritten:
    """What became of one wish: the row, and whether this write made it; or why the CRM refused it."""

    opportunity_id: str
    row: CrmRow | None = None
    created: bool = False
    refusal: str | None = None


@frozen
class CrmPage:
    """Rows by time of change and id. `after` continues; None at the end."""

    rows: tuple[CrmRow, ...]
    after: str | None = None


class CrmTrouble(Exception):
    """The CRM cannot be asked now. `retry_after_seconds` is when it may be asked again."""

    def __init__(self, text: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(CrmTrouble):
    """The CRM asks for patience."""


class AuthFailed(CrmTrouble):
    """The CRM does not accept our credential."""


class Unavailable(CrmTrouble):
    """The CRM did not answer, or with an error of its own. What was written may stand there or not."""


class Malformed(CrmTrouble):
    """The CRM answered something that is not its published form."""


class CrmPort(Protocol):
    """One CRM. Every call ends in time; each may raise CrmTrouble."""

    async def describe(self) -> tuple[str, ...]:
        """The CRM's raw stages."""

    async def changed_since(self, since: datetime, after: str | None, limit: int) -> CrmPage:
        """Rows modified at or after `since`, oldest first."""

    async def read(self, external_ids: Sequence[str]) -> list[CrmRow]:
        """The rows of these ids that there are."""

    async def find(self, opportunity_ids: Sequence[str]) -> list[CrmRow]:
        """The rows that carry these ids of ours."""

    async def upsert(self, wishes: Sequence[CrmWish]) -> list[CrmWritten]:
        """Writes our fields, by our id: twice is once. At most 100 wishes."""

    def genuine(self, method: str, uri: str, body: bytes, headers: Mapping[str, str], now_ms: int) -> bool:
        """Whether a push comes from this CRM and is fresh."""

    def pushed_ids(self, body: bytes) -> tuple[str, ...]:
        """The rows that a push names."""

    async def listen(self, url: str) -> None:
        """Asks the CRM to push changes to this address; nothing where that is set up by hand."""


class CrmReader(Protocol):
    """Reads a connected CRM at once, instead of at its next turn. Answers how many rows showed something new."""

    async def poll(self, tenant: str, connection_id: str) -> int:
        """Reads what changed since the last time."""

    async def pushed(self, tenant: str, connection_id: str, body: bytes) -> int:
        """Reads the rows that a push names."""


@dataclass(kw_only=True)
class Ports:
    """The outside of this service. `connect` gives the client of a connection; `reader` is set once it can run.

    `development` permits a CRM on this machine. `public_url` is where CRMs reach us: it is part of what they sign.
    """

    connect: Callable[[Connection], CrmPort]
    reader: CrmReader | None = None
    development: bool = False
    public_url: str = ""

    def push_url(self, connection_id: str) -> str:
        """Where a CRM sends its pushes; "" where it cannot reach us."""
        if not self.public_url or self.public_url.endswith(":0"):
            return ""
        return f"{self.public_url}/v1/attribution/connections/{connection_id}/push"


# Streams


def _pools(wish: Any) -> tuple[Any, ...]:
    return tuple(Credits.at(credit_id(wish.opportunity_id, pool)) for pool in wish.pools)


def _opening(wish: OpenOpportunity) -> tuple[Any, ...]:
    touches = tuple(Touches.at(touch.touch_id) for touch in wish.touches)
    return Opportunities.at(wish.opportunity_id), touches, _pools(wish)


def _touching(wish: RecordTouch) -> tuple[Any, ...]:
    return Opportunities.at(wish.opportunity_id), Touches.at(wish.touch_id), _pools(wish)


def _mirroring(wish: ObserveCrmChange | ReleaseCrmChange) -> tuple[Any, ...]:
    return Opportunities.at(wish.opportunity_id), CrmRecords.at(wish.record_id), _pools(wish)


def _mergers(wish: Any) -> tuple[Any, ...]:
    return tuple(MergersOf.at(partner_id) for partner_id in wish.merged)


def _connection_and_policy(wish: ObserveCrmChange | ReleaseCrmChange) -> tuple[Any, ...]:
    return Connections.at(wish.connection_id), Rules.at(wish.policy_id), _mergers(wish)


def _policy(wish: OpenOpportunity | RecordTouch | FollowMerger) -> tuple[Any, ...]:
    return Rules.at(wish.policy_id), _mergers(wish)


def _following(wish: FollowMerger) -> tuple[Any, ...]:
    return Opportunities.at(wish.opportunity_id), _pools(wish)


def _partner(wish: Any) -> tuple[Any, ...]:
    return (MergersOf.at(wish.partner_id),)


def _connection(wish: Any) -> tuple[Any, ...]:
    return (Connections.at(wish.connection_id),)


def _sale(wish: Any) -> tuple[Any, ...]:
    return (Opportunities.at(wish.opportunity_id),)


def _credit(wish: ReviseCredit) -> tuple[Any, ...]:
    return (Credits.at(credit_id(wish.opportunity_id, wish.pool)),)


# Answers


class ConnectionAnswer(TypedDict):
    """Where the connection stands now."""

    connection_id: str
    status: Annotated[str, Phase]


class SaleAnswer(TypedDict):
    """The stage that the sale is in now; null while only a touch is known."""

    opportunity_id: str
    stage: str | None


class TouchAnswer(TypedDict):
    """The touch by its id: claimed by a partner, or confirmed by the vendor."""

    touch_id: str
    opportunity_id: str
    status: str


class CreditAnswer(TypedDict):
    """The revision that holds in this pool now."""

    opportunity_id: str
    pool: str
    revision: int


class IncumbentAnswer(TypedDict):
    """Who comes first now when this family is renewed; no partner: nobody does."""

    incumbency_id: str
    account_id: str
    product_family: str
    partner_id: str | None


def _incumbent_answer(wish: SetIncumbent, state: Incumbency) -> IncumbentAnswer:
    about = {"account_id": wish.account_id, "product_family": wish.product_family}
    return {"incumbency_id": wish.incumbency_id, **about, "partner_id": state.partner_id}  # type: ignore[typeddict-item]


def _connection_answer(wish: Any, state: Connection) -> ConnectionAnswer:
    return {"connection_id": wish.connection_id, "status": state.phase.value}


def _sale_answer(wish: Any, state: Opportunity, *_: Any) -> SaleAnswer:
    return {"opportunity_id": wish.opportunity_id, "stage": state.stage}


def _touch_answer(wish: RecordTouch, *_: Any) -> TouchAnswer:
    return {"touch_id": wish.touch_id, "opportunity_id": wish.opportunity_id, "status": wish.status}


def _credit_answer(wish: ReviseCredit, state: Credit) -> CreditAnswer:
    revision = state.last.revision if state.last else 0
    return {"opportunity_id": wish.opportunity_id, "pool": wish.pool, "revision": revision}


HANDLES = (
    Handles(connection.AddConnection, connection.add_connection, _connection, answer=_connection_answer),
    Handles(connection.ActivateConnection, connection.activate_connection, _connection, answer=_connection_answer),
    Handles(connection.PauseConnection, connection.pause_connection, _connection, answer=_connection_answer),
    Handles(connection.MapStages, connection.map_stages, _connection, answer=_connection_answer),
    Handles(OpenOpportunity, opening.open_opportunity, _opening, reads=_policy, answer=_sale_answer),
    Handles(RecordTouch, opening.touch_opportunity, _touching, reads=_policy, answer=_touch_answer),
    Handles(opening.FollowRegistration, opening.follow_registration, _sale, answer=_sale_answer),
    Handles(
        ObserveCrmChange,
        mirroring.observe_change,
        _mirroring,
        reads=_connection_and_policy,
        answer=_sale_answer,
    ),
    Handles(
        ReleaseCrmChange,
        mirroring.release_change,
        _mirroring,
        reads=_connection_and_policy,
        answer=_sale_answer,
    ),
    Handles(
        mirroring.RecordCrmWrite,
        mirroring.record_write,
        lambda wish: (Opportunities.at(wish.opportunity_id), CrmRecords.at(wish.record_id)),
        answer=_sale_answer,
    ),
    Handles(mirroring.RecordCrmRefusal, mirroring.record_refusal, lambda wish: (CrmRecords.at(wish.record_id),)),
    Handles(ReviseCredit, revise_credit, _credit, reads=lambda wish: (_mergers(wish),), answer=_credit_answer),
    Handles(
        SetIncumbent,
        set_incumbent,
        lambda wish: (Incumbencies.at(wish.incumbency_id),),
        answer=_incumbent_answer,
    ),
    Handles(merger.MergePartner, merger.merge_partner, _partner),
    Handles(merger.UnmergePartner, merger.unmerge_partner, _partner),
    Handles(FollowMerger, opening.follow_merger, _following, reads=_policy, answer=_sale_answer),
)


# Preparation


def opportunity_id(tenant: str, registration_id: str) -> OpportunityId:
    """The sale that a registration opens."""
    return OpportunityId(stable_id(tenant, registration_id))


async def pools_in_force(peek: Peek, now: datetime) -> tuple[str, ...]:
    """The pools of the policy that holds now."""
    return crediting.pools_of(crediting.policy_in_force(await peek(Rules.at(POLICY_ID)), now))


async def merged_of(peek: Peek, partner_ids: Sequence[str]) -> tuple[PartnerId, ...]:
    """Which of these partners were ever absorbed, and likewise of those with whom they are one."""
    found: dict[str, Merger] = {}
    wanted = list(dict.fromkeys(partner_ids))
    while wanted:
        mergers = await peek.all(MergersOf.at(one) for one in wanted)
        found |= dict(zip(wanted, mergers, strict=True))
        wanted = [one.survivor_id for one in mergers if one.survivor_id and one.survivor_id not in found]
    return tuple(PartnerId(one) for one, known in found.items() if known.revision)


async def open_from(peek: Peek, tenant: str, deal: DealApproved, now: datetime) -> OpenOpportunity:
    """The command that an approved registration leads to."""
    pools = await pools_in_force(peek, now)
    identity = opportunity_id(tenant, deal.registration_id)
    return OpenOpportunity(
        opportunity_id=identity,
        registration_id=deal.registration_id,
        number=deal.number,
        programme=deal.programme,
        partner_id=deal.partner_id,
        deal_type=deal.deal_type,
        account=deal.account,
        products=deal.products,
        amount=deal.amount,
        close_on=deal.close_on,
        protected_until=deal.protection.end,
        external_id=deal.external_id,
        touches=_touches_of(tenant, deal, pools, now),
        pools=pools,
        policy_id=POLICY_ID,
        now=now,
        merged=await merged_of(peek, [deal.partner_id, *(one.partner_id for one in deal.participants)]),
    )


def _touches_of(tenant: str, deal: DealApproved, pools: tuple[str, ...], now: datetime) -> tuple[RecordTouch, ...]:
    """The registered partner brought the sale; every other participant does what its role says."""
    others = {p.partner_id: p.role for p in deal.participants if p.partner_id != deal.partner_id}
    kinds = {deal.partner_id: "registration_approved"}
    kinds |= {partner_id: kind_of(role) for partner_id, role in others.items()}
    touches = (_touch_of(tenant, deal, partner_id, kind, pools, now) for partner_id, kind in kinds.items())
    return tuple(replace(touch, touched_at=deal.approved_at) for touch in touches)


def _touch_of(
    tenant: str,
    told: DealApproved | ParticipantJoined,
    partner_id: PartnerId,
    kind: str,
    pools: tuple[str, ...],
    now: datetime,
) -> RecordTouch:
    """The one touch that a partner leaves by taking part in a registration, however it is told of."""
    key = f"{told.registration_id}:{partner_id}"
    return RecordTouch(
        touch_id=touch_id(tenant, REGISTRATION, key),
        touch_type=kind,
        partner_id=partner_id,
        role=role_of(kind),
        opportunity_id=opportunity_id(tenant, told.registration_id),
        registration_id=told.registration_id,
        touched_at=now,
        source=REGISTRATION,
        source_key=key,
        recorded_by=REGISTRATION,
        pools=pools,
        policy_id=POLICY_ID,
        now=now,
    )


async def touch_from(peek: Peek, tenant: str, joined: ParticipantJoined, now: datetime) -> RecordTouch:
    """The touch of who joins a registration that is approved already."""
    pools = await pools_in_force(peek, now)
    touch = _touch_of(tenant, joined, joined.partner_id, kind_of(joined.role), pools, now)
    return replace(touch, touched_at=joined.joined_at, merged=await merged_of(peek, [joined.partner_id]))


def change_of(row: CrmRow, zone: str) -> CrmChange:
    """The mapped fields of a row; its close as a day in the connection's zone."""
    return CrmChange(
        external_id=row.external_id,
        modified_at=row.modified_at,
        stage=row.stage,
        amount=row.amount,
        currency=row.currency,
        refunded=row.refunded,
        closed_on=row.close_at.astimezone(ZoneInfo(zone)).date() if row.close_at else None,
        lost_reason=row.lost_reason,
    )


def days_of(change: CrmChange, zone: str) -> Days:
    """The change's day there. A close counts what came by the end of its day, never what came after the change."""
    place = ZoneInfo(zone)
    seen_on = change.modified_at.astimezone(place).date()
    closed_on = min(change.closed_on or seen_on, seen_on)
    end = datetime.combine(closed_on + timedelta(days=1), time.min, tzinfo=place)
    return Days(seen_on=seen_on, cutoff_at=min(change.modified_at, end.astimezone(change.modified_at.tzinfo)))


async def observe(peek: Peek, connection_id: str, sale_id: str, change: CrmChange, now: datetime) -> ObserveCrmChange:
    """The command for a row that shows something new."""
    place: Connection = await peek(Connections.at(connection_id))
    return ObserveCrmChange(
        opportunity_id=OpportunityId(sale_id),
        record_id=record_id(connection_id, change.external_id),
        connection_id=connection_id,
        change=change,
        days=days_of(change, place.zone),
        pools=await pools_in_force(peek, now),
        policy_id=POLICY_ID,
        now=now,
        merged=await _merged_in(peek, sale_id),
    )


async def _merged_in(peek: Peek, sale_id: str) -> tuple[PartnerId, ...]:
    sale: Opportunity = await peek(Opportunities.at(sale_id))
    return await merged_of(peek, sale.own_partner_ids)


async def release(peek: Peek, held: Mapping[str, Any], now: datetime) -> ReleaseCrmChange:
    """The command that reads a held change again; `held` is its document in the quarantine."""
    place: Connection = await peek(Connections.at(held["connection_id"]))
    record: CrmRecord = await peek(CrmRecords.at(held["record_id"]))
    found = record.holds(held["change_sha256"])
    if found is None:
        raise mirroring.NotHeld
    return ReleaseCrmChange(
        opportunity_id=OpportunityId(held["opportunity_id"]),
        record_id=held["record_id"],
        connection_id=held["connection_id"],
        change_sha256=held["change_sha256"],
        days=days_of(found.change, place.zone),
        pools=await pools_in_force(peek, now),
        policy_id=POLICY_ID,
        now=now,
        merged=await _merged_in(peek, held["opportunity_id"]),
    )
