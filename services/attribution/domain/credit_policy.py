"""How credit is shared: pools, models, look-back, as rules; and the one pure answer for one pool of one sale.

Weights are computed to 34 digits, shares floored to 0.01; missing hundredths go to the largest remainders, ties to the
oldest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

from chassis.event import canonical_json, frozen, iso, plain, sha256
from chassis.rulebook import Change, Decision, Input, Kind, Reason
from contracts.values import HUNDRED, PERCENT_STEP, PartnerId, largest_remainder
from services.attribution.domain.touch import CONFIRMED, ROLES, TouchFact

KIND = "credit_policy"
WEIGHT_DIGITS = 34
SHOWN_STEP = Decimal("0.000001")
DAY_SECONDS = 86_400
POOLS_MAX, TOUCHES_MAX = 15, 1_000
LOOK_BACK_DAYS, HALF_LIFE_DAYS, TAIL_DAYS = range(1, 1_096), range(1, 366), range(181)
EXACT, CAP = "exact", "cap"
PAY, REPORT = "pay", "report"
LATE_UNITS = ("last", "time_decay")


@frozen
class Pool:
    """One account of credit: the roles it counts, and whether its shares make exactly 100.00 or at most that."""

    name: str
    roles: tuple[str, ...]
    kind: str = PAY
    total: str = EXACT
    model: str


@frozen
class CreditPolicy:
    """The body of a credit policy. Percentages and weights are texts such as `40`; days are whole."""

    pools: tuple[Pool, ...]
    look_back_days: int = 180
    time_decay_look_back_days: int = 30
    half_life_days: int = 7
    tail_days: int = 0
    unit: str = "partner"
    priority: tuple[str, ...] = ("registration_approved", "lead_accepted", "referral")
    position: tuple[Decimal, Decimal, Decimal] = (Decimal(40), Decimal(20), Decimal(40))
    role_weights: dict[str, Decimal] = field(
        default_factory=lambda: {"source": Decimal(60), "cosell": Decimal(30), "fulfil": Decimal(10)}
    )

    def pool(self, name: str) -> Pool | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)


DEFAULT_POLICY = CreditPolicy(
    pools=(
        Pool(name="sourced", roles=("source",), model="priority"),
        Pool(name="cosell", roles=("cosell",), model="linear"),
        Pool(name="fulfilment", roles=("fulfil",), model="last"),
        Pool(name="influenced", roles=("influence",), total=CAP, model="linear"),
        Pool(name="service", roles=("service",), kind=REPORT, total=CAP, model="linear"),
    )
)
"""Holds where a programme has published none: one pool a role. It is version 0."""


@frozen
class CreditFacts:
    """What one pool's credit is decided on. `cutoff_at` is the close, or now; protection is the registration's."""

    pool: str
    touches: tuple[TouchFact, ...]
    cutoff_at: datetime
    protected_until: datetime | None = None


@frozen
class Row:
    """One touch in a decision. `code` is `used`, or why it was not; `weight` is its part of 1."""

    touch_id: str
    partner_id: PartnerId
    touch_type: str
    role: str
    touched_at: datetime
    code: str
    weight: Decimal = Decimal(0)


@frozen
class Part:
    """A partner's share of a pool in percent, and what rounding took from it (negative: gave it)."""

    partner_id: PartnerId
    role: str
    percent: Decimal
    remainder: Decimal


@frozen
class Allocation:
    """The shares of one pool with everything that led to them."""

    pool: str
    model: str
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]

    @property
    def sha256(self) -> str:
        """The name of this result by its content; either side can recompute it."""
        return sha256(canonical_json(plain(self)))


def evaluate(facts: CreditFacts, policy: CreditPolicy) -> Decision:
    """Who is credited in a pool, with every touch used or ignored."""
    made = allocate(facts, policy)
    return Decision(
        outcome="allocated" if made.parts else "empty",
        reasons=tuple(_reasons(made)),
        inputs=tuple(Input(name=row.touch_type, value=_shown(row)) for row in made.rows),
        would_change=tuple(_changes(made.rows)),
        detail={**plain(made), "decision_sha256": made.sha256},
    )


def allocate(facts: CreditFacts, policy: CreditPolicy) -> Allocation:
    """The shares of the pool under the policy; none when no touch is eligible. Raises KeyError for an unknown pool."""
    pool = policy.pool(facts.pool)
    if pool is None:
        raise KeyError(facts.pool)
    touches = _oldest_first(t for t in facts.touches if t.role in pool.roles)[:TOUCHES_MAX]
    codes = {t.touch_id: _code(t, facts, policy, pool) for t in touches}
    counted = _per_unit([t for t in touches if codes[t.touch_id] == "used"], policy, pool)
    with localcontext(Context(prec=WEIGHT_DIGITS)):
        weights = dict(zip([t.touch_id for t in counted], _weights(counted, facts, policy, pool), strict=True))
        rows = tuple(_row(t, codes[t.touch_id], weights) for t in touches)
        return Allocation(pool=pool.name, model=pool.model, parts=_parts(counted, weights), rows=rows)


# Eligible touches


def _code(touch: TouchFact, facts: CreditFacts, policy: CreditPolicy, pool: Pool) -> str:
    days = policy.time_decay_look_back_days if pool.model == "time_decay" else policy.look_back_days
    if touch.status != CONFIRMED and not (touch.status == "claimed" and pool.kind == REPORT):
        return touch.status
    if touch.touched_at > facts.cutoff_at:
        return "after-cutoff"
    if touch.touched_at < facts.cutoff_at - timedelta(days=days):
        return "outside-look-back"
    if touch.touch_type == "registration_approved" and _lapsed(facts, policy):
        return "protection-lapsed"
    return "used"


def _lapsed(facts: CreditFacts, policy: CreditPolicy) -> bool:
    until = facts.protected_until
    return until is not None and facts.cutoff_at > until + timedelta(days=policy.tail_days)


def _per_unit(touches: list[TouchFact], policy: CreditPolicy, pool: Pool) -> list[TouchFact]:
    """One touch a unit, oldest first: a partner in a role, or a partner's type and UTC day."""
    ordered = touches if pool.model not in LATE_UNITS else touches[::-1]
    kept: dict[tuple[Any, ...], TouchFact] = {}
    for touch in ordered:
        kept.setdefault(_unit(touch, policy), touch)
    return _oldest_first(kept.values())


def _oldest_first(touches: Iterable[TouchFact]) -> list[TouchFact]:
    return sorted(touches, key=lambda t: (t.touched_at, t.touch_id))


def _unit(touch: TouchFact, policy: CreditPolicy) -> tuple[Any, ...]:
    if policy.unit == "touch":
        return touch.partner_id, touch.touch_type, touch.touched_at.date()
    return touch.partner_id, touch.role


# Models


def _weights(touches: list[TouchFact], facts: CreditFacts, policy: CreditPolicy, pool: Pool) -> list[Decimal]:
    if not touches:
        return []
    raw = MODELS[pool.model](touches, facts, policy)
    whole = sum(raw, Decimal(0))
    return [weight / whole for weight in raw] if whole else raw


def _first(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    return [Decimal(int(i == 0)) for i in range(len(touches))]


def _last(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    return [Decimal(int(i == len(touches) - 1)) for i in range(len(touches))]


def _linear(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    return [Decimal(1)] * len(touches)


def _position(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    first, middle, last = policy.position
    if len(touches) == 1:
        return [Decimal(1)]
    between = len(touches) - 2
    return [first, *[middle / between for _ in range(between)], last]


def _time_decay(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    return [Decimal(2) ** (-_age_days(t, facts) / policy.half_life_days) for t in touches]


def _age_days(touch: TouchFact, facts: CreditFacts) -> Decimal:
    age = facts.cutoff_at - touch.touched_at
    return (Decimal(age.days * DAY_SECONDS + age.seconds) + Decimal(age.microseconds) / 1_000_000) / DAY_SECONDS


def _role_weighted(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    roles = [t.role for t in touches]
    return [policy.role_weights.get(role, Decimal(0)) / roles.count(role) for role in roles]


def _priority(touches: Sequence[TouchFact], facts: CreditFacts, policy: CreditPolicy) -> list[Decimal]:
    ranks = [_rank(t, policy) for t in touches]
    chosen = ranks.index(min(ranks))
    return [Decimal(int(i == chosen)) for i in range(len(touches))]


def _rank(touch: TouchFact, policy: CreditPolicy) -> int:
    known = touch.touch_type in policy.priority
    return policy.priority.index(touch.touch_type) if known else len(policy.priority)


Model = Callable[[Sequence[TouchFact], CreditFacts, CreditPolicy], list[Decimal]]
MODELS: dict[str, Model] = {
    "first": _first,
    "last": _last,
    "linear": _linear,
    "position": _position,
    "time_decay": _time_decay,
    "role_weighted": _role_weighted,
    "priority": _priority,
}


# Shares


def _parts(counted: list[TouchFact], weights: dict[str, Decimal]) -> tuple[Part, ...]:
    sums: dict[tuple[PartnerId, str], Decimal] = {}
    for touch in counted:
        who = touch.partner_id, touch.role
        sums[who] = sums.get(who, Decimal(0)) + weights.get(touch.touch_id, Decimal(0))
    present = {who: weight for who, weight in sums.items() if weight > 0}
    if not present:
        return ()
    percents = largest_remainder(HUNDRED, list(present.values()), PERCENT_STEP)
    return tuple(
        Part(partner_id=who[0], role=who[1], percent=percent, remainder=_six(weight * HUNDRED - percent))
        for (who, weight), percent in zip(present.items(), percents, strict=True)
        if percent > 0
    )


def _six(value: Decimal) -> Decimal:
    return value.quantize(SHOWN_STEP)


def _row(touch: TouchFact, code: str, weights: dict[str, Decimal]) -> Row:
    weight = weights.get(touch.touch_id)
    return Row(
        touch_id=touch.touch_id,
        partner_id=touch.partner_id,
        touch_type=touch.touch_type,
        role=touch.role,
        touched_at=touch.touched_at,
        code="duplicate" if code == "used" and weight is None else "outranked" if weight == 0 else code,
        weight=_six(weight or Decimal(0)),
    )


# What people read

TEXTS = {
    "used": "counts",
    "outranked": "is outranked under this model",
    "duplicate": "adds nothing to a touch of the same partner",
    "after-cutoff": "came after the close",
    "outside-look-back": "is older than the look-back",
    "protection-lapsed": "lapsed: the registration's protection had ended",
    "claimed": "is only claimed: the vendor has to confirm it",
    "retracted": "was retracted",
}


def _reasons(made: Allocation) -> list[Reason]:
    if not made.parts:
        return [Reason(code="no-eligible-touch", text=f"no touch counts in pool {made.pool}", rule=made.pool)]
    return [
        Reason(code=f"model-{made.model}".replace("_", "-"), text=f"{part.percent} % for {part.role}", rule=made.pool)
        for part in made.parts
    ]


def _changes(rows: Sequence[Row]) -> list[Change]:
    return [
        Change(code=row.code, text=f"{row.touch_type} of {iso(row.touched_at)} {TEXTS[row.code]}", outcome="counted")
        for row in rows
        if row.code in ("outside-look-back", "after-cutoff", "protection-lapsed", "claimed")
    ]


def _shown(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = plain(row)
    return shown


# The kind


def check(policy: CreditPolicy) -> list[str]:
    """What is wrong with a policy that its schema cannot say."""
    names = [pool.name for pool in policy.pools]
    checks = (
        (1 <= len(names) <= POOLS_MAX, f"a policy has 1 to {POOLS_MAX} pools"),
        (len(set(names)) == len(names), "each pool has a name of its own"),
        (policy.look_back_days in LOOK_BACK_DAYS, "look_back_days is 1 to 1095"),
        (policy.time_decay_look_back_days in LOOK_BACK_DAYS, "time_decay_look_back_days is 1 to 1095"),
        (policy.half_life_days in HALF_LIFE_DAYS, "half_life_days is 1 to 365"),
        (policy.tail_days in TAIL_DAYS, "tail_days is 0 to 180"),
        (policy.unit in ("partner", "touch"), "unit is partner or touch"),
        (_positive_ends(policy.position), "position has a first and a last above 0 and a middle not below 0"),
        (_weighed(policy.role_weights), "role weights are finite, none below 0, and name known roles"),
    )
    return [text for holds, text in checks if not holds] + [
        text for pool in policy.pools for text in _pool_faults(pool)
    ]


def _positive_ends(position: tuple[Decimal, Decimal, Decimal]) -> bool:
    first, middle, last = position
    return all(w.is_finite() for w in position) and first > 0 and last > 0 and middle >= 0


def _weighed(weights: dict[str, Decimal]) -> bool:
    return all(role in ROLES and weight.is_finite() and weight >= 0 for role, weight in weights.items())


def _pool_faults(pool: Pool) -> list[str]:
    checks = (
        (pool.name.isidentifier(), f"pool name {pool.name!r} holds letters, digits and underscores only"),
        (pool.kind in (PAY, REPORT), f"pool {pool.name}: kind is pay or report"),
        (pool.total in (EXACT, CAP), f"pool {pool.name}: total is exact or cap"),
        (bool(pool.roles) and set(pool.roles) <= set(ROLES), f"pool {pool.name}: roles are of {', '.join(ROLES)}"),
        (pool.model in MODELS, f"pool {pool.name}: model-not-payable: {pool.model!r} cannot allocate credit"),
    )
    return [text for holds, text in checks if not holds]


CREDIT_POLICY = Kind[CreditFacts, CreditPolicy](
    name=KIND, body=CreditPolicy, facts=CreditFacts, evaluate=evaluate, check=check
)
