"""The credit of one pool of one sale: provisional while it is open, final at the win, revised only with a reason.

Every change is a new revision of the whole vector; earlier ones stay as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider, Invalid, WrongState
from chassis.event import LEFT_OUT, LeftOut, canonical_json, command, event, frozen, plain, sha256
from contracts.attribution import Share
from contracts.values import HUNDRED, PERCENT_STEP, OpportunityId, PartnerId, RegistrationId
from services.attribution.domain.credit_policy import (
    DEFAULT_POLICY,
    EXACT,
    CreditFacts,
    CreditPolicy,
    Part,
    Row,
    allocate,
)
from services.attribution.domain.merger import Alias, Merger, Mergers, aliases_of, counted_as
from services.attribution.domain.touch import TouchFact

PROVISIONAL, FINAL = "provisional", "final"
MODEL, MERGE = "model", "merge"
REASONS = ("correction", "dispute", "customer", "split")
SHARES_MAX, PERCENT_DIGITS = 100, 2


def credit_id(opportunity_id: str, pool: str) -> str:
    """The id of a pool's stream."""
    return f"{opportunity_id}-{pool}"


# Events


@event("attribution.CreditAllocated.v1")
class CreditAllocated:
    """One revision: who has how much, and every touch looked at. `revised_by` and `reason` when a person did it.

    `aliases` are the partners that counted as others, with whom they are one; `said` the shares that a person named
    where they differ for that.
    """

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    pool: str
    revision: int
    status: str
    win_no: int | None
    shares: tuple[Share, ...]
    total: str
    policy_id: str
    policy_version: int
    policy_sha256: str
    model: str
    reason_code: str
    reason: str | None = None
    revised_by: str | None = None
    restates_closed: bool = False
    cutoff_at: datetime
    rows: tuple[Row, ...] = ()
    parts: tuple[Part, ...] = ()
    decision_sha256: str
    aliases: tuple[Alias, ...] | LeftOut = LEFT_OUT
    said: tuple[Share, ...] | LeftOut = LEFT_OUT


CreditEvent = CreditAllocated
Drawn = tuple[str, str, Decimal]
"""A partner, its role, and its percent."""


# Commands


@frozen
class WantedShare:
    """What a person wants one partner to have."""

    partner_id: str
    role: str
    percent: Decimal


@command("attribution.ReviseCredit.v1")
class ReviseCredit:
    """`shares` replace the whole vector from `from_month` on. `merged` are those of them that were ever absorbed."""

    opportunity_id: OpportunityId
    pool: str
    shares: tuple[WantedShare, ...]
    reason_code: str
    reason: str
    revised_by: str
    now: datetime
    merged: tuple[PartnerId, ...] = ()


# State


@dataclass(frozen=True)
class Credit:
    """The last revision; None while the pool is empty. `said_code` is why it was last decided, mergers aside."""

    last: CreditAllocated | None = None
    said_code: str = MODEL

    @property
    def by_person(self) -> bool:
        """A person's revision stands until a person changes it."""
        return self.last is not None and self.last.revised_by is not None


# Refusals


class PercentSum(Invalid):
    """The shares of this pool make exactly 100.00 together."""

    slug = "percent-sum"


class PercentCap(Invalid):
    """The shares of this pool make at most 100.00 together."""

    slug = "percent-cap"


class PercentScale(Invalid):
    """A percent is above 0, at most 100, and has two decimals at most."""

    slug = "percent-scale"


class ReasonRequired(Invalid):
    """A revision says why: a reason code and a sentence."""

    slug = "reason-required"


# Decisions


@frozen
class Policy:
    """The rules that hold, and which published version they are."""

    policy_id: str
    version: int
    sha256: str
    body: CreditPolicy


BUILT_IN = Policy(
    policy_id="built-in", version=0, sha256=sha256(canonical_json(plain(DEFAULT_POLICY))), body=DEFAULT_POLICY
)
"""Holds while the programme has published no policy."""


@frozen
class Sale:
    """What credit is decided on: the sale's touches, protection and close. `win_no` is None while it is not won."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    touches: tuple[TouchFact, ...]
    protected_until: datetime | None
    cutoff_at: datetime
    closed_on: date
    win_no: int | None
    mergers: Mergers = field(default_factory=dict)

    @property
    def status(self) -> str:
        return PROVISIONAL if self.win_no is None else FINAL

    @property
    def counted_touches(self) -> tuple[TouchFact, ...]:
        """Each touch as that of the partner that it counts for."""
        if not self.mergers:
            return self.touches
        return tuple(
            replace(t, partner_id=counted_as(t.partner_id, self.mergers, self.closed_on)) for t in self.touches
        )

    def aliases(self, partner_ids: Sequence[PartnerId]) -> tuple[Alias, ...] | LeftOut:
        """Which of them count as others; left out where none does."""
        return aliases_of(partner_ids, self.mergers, self.closed_on) or LEFT_OUT


def allocate_credit(sale: Sale, pool: str, policy: Policy, credit: Credit) -> list[CreditEvent]:
    """The pool's shares under the policy, as a new revision if they, or their finality, differ from the last one."""
    if credit.by_person:
        return _carried(sale, credit)
    touches = sale.counted_touches
    facts = CreditFacts(pool=pool, touches=touches, cutoff_at=sale.cutoff_at, protected_until=sale.protected_until)
    made = allocate(facts, policy.body)
    drawn = [(part.partner_id, part.role, part.percent) for part in made.parts]
    if _same(drawn, sale, credit) or (credit.last is None and not made.parts):
        return []
    return [
        CreditAllocated(
            opportunity_id=sale.opportunity_id,
            registration_id=sale.registration_id,
            pool=pool,
            revision=_next(credit),
            status=sale.status,
            win_no=sale.win_no,
            shares=tuple(_share(*one, sale.closed_on) for one in drawn),
            total=_total_of(policy.body, pool),
            policy_id=policy.policy_id,
            policy_version=policy.version,
            policy_sha256=policy.sha256,
            model=made.model,
            reason_code=MODEL,
            cutoff_at=sale.cutoff_at,
            rows=made.rows,
            parts=made.parts,
            decision_sha256=made.sha256,
            aliases=sale.aliases(_partners_in(made.rows, sale.touches)),
        )
    ]


def follow_credit(sale: Sale, pool: str, policy: Policy, credit: Credit, *, undone: bool) -> list[CreditEvent]:
    """The shares by the names that count now, all else as it was decided. What was final before a merger stays.

    `policy` is the one of the last revision. Where a merger is `undone`, also what became final under it comes back.
    """
    last = credit.last
    if last is None or (last.status, last.win_no) != (sale.status, sale.win_no):
        return []
    if last.status == FINAL and not (undone and last.aliases):
        return []
    if credit.by_person:
        again = _said_again(sale, last)
        return [] if _drawn(again) == _drawn(last) else [replace(again, reason_code=MERGE)]
    made = allocate_credit(replace(sale, cutoff_at=last.cutoff_at), pool, policy, credit)
    return [replace(one, reason_code=MERGE) for one in made]


def revise_credit(wish: ReviseCredit, credit: Credit, mergers: Sequence[Merger] = ()) -> list[CreditEvent]:
    """Replaces the shares by hand. Raises PercentSum, PercentCap, PercentScale, ReasonRequired, WrongState (empty)."""
    last = credit.last
    if last is None:
        raise WrongState("this pool has no credit yet", state="empty", allowed=[])
    if wish.reason_code not in REASONS or not wish.reason.strip():
        raise ReasonRequired(reason_codes=list(REASONS))
    _percents_hold(wish.shares, last.total)
    said = [(share.partner_id, share.role, share.percent.quantize(PERCENT_STEP)) for share in wish.shares]
    made = _revised(wish, last, said, dict(zip(wish.merged, mergers, strict=True)))
    return [] if credit.by_person and _drawn(made) == _drawn(last) else [made]


def _revised(wish: ReviseCredit, last: CreditAllocated, said: list[Drawn], mergers: Mergers) -> CreditAllocated:
    body = {"shares": said, "reason_code": wish.reason_code, "reason": wish.reason, "revision": last.revision + 1}
    month = wish.now.date() if last.win_no is None else _month_start(last)
    revised = replace(
        last,
        revision=last.revision + 1,
        reason_code=wish.reason_code,
        reason=wish.reason.strip(),
        revised_by=wish.revised_by,
        rows=(),
        parts=(),
        decision_sha256=sha256(canonical_json(plain(body))),
    )
    day = (wish.now if last.win_no is None else last.cutoff_at).date()
    return _with_shares(revised, [_share(*one, month) for one in said], mergers, day)


def _carried(sale: Sale, credit: Credit) -> list[CreditEvent]:
    """A person's shares, taken over by a win."""
    last = credit.last
    if last is None or (last.status, last.win_no) == (sale.status, sale.win_no):
        return []
    carried = replace(last, status=sale.status, win_no=sale.win_no, reason_code=credit.said_code)
    return [replace(_said_again(sale, carried), cutoff_at=sale.cutoff_at)]


def _said_again(sale: Sale, last: CreditAllocated) -> CreditAllocated:
    """The shares that a person named, in the month of the sale, by the names that count now."""
    named = [replace(share, from_month=f"{sale.closed_on:%Y-%m}") for share in last.said or last.shares]
    return _with_shares(replace(last, revision=last.revision + 1), named, sale.mergers, sale.closed_on)


def _with_shares(revised: CreditAllocated, said: list[Share], mergers: Mergers, day: date) -> CreditAllocated:
    """The revision with these shares; those of partners that are one are one share."""
    aliases = aliases_of([share.partner_id for share in said], mergers, day)
    if not aliases:
        return replace(revised, shares=tuple(said), aliases=LEFT_OUT, said=LEFT_OUT)
    sums: dict[tuple[PartnerId, str], Share] = {}
    for share in said:
        who = counted_as(share.partner_id, mergers, day), share.role
        before = sums[who].percent if who in sums else Decimal(0)
        sums[who] = replace(share, partner_id=who[0], percent=before + share.percent)
    return replace(revised, shares=tuple(sums.values()), aliases=aliases, said=tuple(said))


def _percents_hold(shares: Sequence[WantedShare], total: str) -> None:
    if len(shares) > SHARES_MAX or len({(s.partner_id, s.role) for s in shares}) < len(shares):
        raise PercentSum(f"each partner stands once in a role, {SHARES_MAX} shares at most")
    for share in shares:
        if not share.percent.is_finite() or not 0 < share.percent <= HUNDRED or _digits(share.percent) > PERCENT_DIGITS:
            raise PercentScale(partner_id=share.partner_id)
    whole = sum((share.percent for share in shares), Decimal(0))
    if total == EXACT and shares and whole != HUNDRED:
        raise PercentSum(f"the shares make {whole}, not 100.00", sum=str(whole))
    if whole > HUNDRED:
        raise PercentCap(f"the shares make {whole}, more than 100.00", sum=str(whole))


def _digits(percent: Decimal) -> int:
    exponent = percent.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _partners_in(rows: Sequence[Row], touches: Sequence[TouchFact]) -> list[PartnerId]:
    """The partners whose touches were looked at, by their own names."""
    looked_at = {row.touch_id for row in rows}
    return [touch.partner_id for touch in touches if touch.touch_id in looked_at]


def _share(partner_id: str, role: str, percent: Decimal, on: date) -> Share:
    return Share(partner_id=partner_id, role=role, percent=percent, from_month=f"{on:%Y-%m}")  # type: ignore[arg-type]


def _month_start(last: CreditAllocated) -> date:
    month = last.shares[0].from_month if last.shares else f"{last.cutoff_at:%Y-%m}"
    return date.fromisoformat(f"{month}-01")


def _drawn(last: CreditAllocated) -> list[Drawn]:
    return [(share.partner_id, share.role, share.percent) for share in last.shares]


def _same(drawn: Sequence[Drawn], sale: Sale, credit: Credit) -> bool:
    last = credit.last
    return last is not None and _drawn(last) == list(drawn) and (last.status, last.win_no) == (sale.status, sale.win_no)


def _next(credit: Credit) -> int:
    return 1 + (credit.last.revision if credit.last else 0)


def _total_of(policy: CreditPolicy, pool: str) -> str:
    found = policy.pool(pool)
    return found.total if found else EXACT


# Evolve


def evolve(credit: Credit, happened: CreditEvent) -> Credit:
    match happened:
        case CreditAllocated():
            merged = happened.reason_code == MERGE
            return Credit(last=happened, said_code=credit.said_code if merged else happened.reason_code)
        case _:
            assert_never(happened)


Credits = Decider[Credit, CreditEvent](kind="credit", initial=Credit(), evolve=evolve)
