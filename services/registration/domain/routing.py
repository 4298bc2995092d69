"""To whom a lead is offered: who may take it, and whose turn it is under the rules. Pure, and the same again for ever.

Chance is a number that anybody can compute: the first 8 bytes of SHA-256 of `lead|rules@version|round` over 2⁶⁴.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from chassis.event import frozen
from chassis.rulebook import Decision, Input, Kind, Reason
from contracts.values import PartnerId
from services.registration.domain.lead_rules import (
    BROADCAST,
    LEAST_RECENT,
    NEAREST,
    ORDERED,
    WEIGHTED,
    LeadRules,
    Routed,
    faults,
)
from services.registration.domain.overlap import families_of

INCUMBENT, NAMED, VENDOR, POOL = "incumbent", "named", "vendor", "pool"
BOXES = ((Decimal(2), Decimal("1.5")), (Decimal(4), Decimal(3)), (Decimal(8), Decimal(8)))
"""How far from the lead partners are looked for, one box after the other: degrees of latitude and of longitude."""
SEED_BYTES, SEED_RANGE = 8, 1 << 64
DRAW_DIGITS = Decimal("0.000001")
ORDER_MAX = 10


@frozen
class Taker:
    """A partner that could take a lead, as it was known when the command was made."""

    partner_id: PartnerId
    country: str | None = None
    suspended: bool = False
    last_turn_at: datetime | None = None


@frozen
class RoutingFacts:
    """What routing looks at. `declined` had the lead before; `turns` are those of today. `rules` is `book@version`."""

    lead_id: str
    rules: str
    round: int = 1
    country: str
    families: tuple[str, ...] = ()
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    source: PartnerId | None = None
    declined: tuple[PartnerId, ...] = ()
    incumbents: tuple[PartnerId, ...] = ()
    takers: tuple[Taker, ...] = ()
    turns: dict[str, int] = field(default_factory=dict)

    @property
    def seed(self) -> str:
        """What the draw of this round is made from."""
        return f"{self.lead_id}|{self.rules}|{self.round}"


@frozen
class Passed:
    """A partner that the lead could not be offered to, and why."""

    partner_id: PartnerId
    code: str


@frozen
class Routing:
    """To whom a lead goes. `seed` and `draw` stand where chance decided; `order` is whose turn would come next."""

    partners: tuple[PartnerId, ...]
    strategy: str
    seed: str | None = None
    draw: Decimal | None = None
    passed: tuple[Passed, ...] = ()
    order: tuple[PartnerId, ...] = ()


def route(facts: RoutingFacts, rules: LeadRules) -> Routing:
    """Who is offered the lead now; nobody where no partner may take it."""
    barred = {one.partner_id: code for one in facts.takers if (code := _barred(one, facts, rules))}
    passed = tuple(Passed(partner_id=who, code=code) for who, code in barred.items())
    able = [one for one in facts.takers if one.partner_id not in barred]
    if not able:
        return Routing(partners=(), strategy=rules.strategy, passed=passed)
    before = [one for one in able if one.partner_id in facts.incumbents] if rules.incumbent_first else []
    if before:
        first = _least_recent(before)
        return Routing(partners=first[:1], strategy=INCUMBENT, passed=passed, order=first[:ORDER_MAX])
    chosen = _STRATEGIES[rules.strategy](able, facts, rules)
    return replace(chosen, strategy=rules.strategy, passed=passed)


# Who may take it


def _barred(taker: Taker, facts: RoutingFacts, rules: LeadRules) -> str | None:
    """Why a partner is not offered the lead; None where it may be."""
    entry = rules.entry(taker.partner_id)
    cap = entry.daily_cap or rules.daily_cap
    checks = {
        "suspended": taker.suspended,
        "declined": taker.partner_id in facts.declined,
        "own-lead": taker.partner_id == facts.source,
        "not-listed": bool(rules.partners) and entry not in rules.partners,
        "other-country": not _serves(taker, entry, facts, rules),
        "other-family": not _takes(entry, facts, rules),
        "at-cap": cap is not None and facts.turns.get(taker.partner_id, 0) >= cap,
    }
    return next((code for code, holds in checks.items() if holds), None)


def _takes(entry: Routed, facts: RoutingFacts, rules: LeadRules) -> bool:
    """Whether a lead of these families is for it; one that names none is for all."""
    takes, wanted = (families_of(some, any_spelling=rules.any_spelling) for some in (entry.families, facts.families))
    return not takes or not wanted or not takes.isdisjoint(wanted)


def _serves(taker: Taker, entry: Routed, facts: RoutingFacts, rules: LeadRules) -> bool:
    if entry.countries:
        return facts.country in entry.countries
    return not rules.same_country or taker.country == facts.country


# Whose turn it is

Strategy = Callable[[Sequence[Taker], RoutingFacts, LeadRules], Routing]


def _least_recent(able: Sequence[Taker]) -> tuple[PartnerId, ...]:
    """Those whose last turn is longest ago first; who never had one before all others."""
    ordered = sorted(able, key=lambda one: (one.last_turn_at is not None, one.last_turn_at, one.partner_id))
    return tuple(one.partner_id for one in ordered)


def _by_turn(able: Sequence[Taker], facts: RoutingFacts, rules: LeadRules) -> Routing:
    order = _least_recent(able)
    return Routing(partners=order[:1], strategy=LEAST_RECENT, order=order[:ORDER_MAX])


def _by_broadcast(able: Sequence[Taker], facts: RoutingFacts, rules: LeadRules) -> Routing:
    order = _least_recent(able)
    return Routing(partners=order[: rules.broadcast_to], strategy=BROADCAST, order=order[:ORDER_MAX])


def _by_list(able: Sequence[Taker], facts: RoutingFacts, rules: LeadRules) -> Routing:
    """In the order in which the rules list them; who is not listed comes after, by turn."""
    known = {one.partner_id for one in able}
    listed = tuple(PartnerId(one.partner_id) for one in rules.partners if one.partner_id in known)
    order = (*listed, *(who for who in _least_recent(able) if who not in listed))
    return Routing(partners=order[:1], strategy=ORDERED, order=order[:ORDER_MAX])


def _by_weight(able: Sequence[Taker], facts: RoutingFacts, rules: LeadRules) -> Routing:
    """By partner id the first whose cumulative weight is above the draw's part of the total. Exact: no fractions."""
    weights = {one.partner_id: rules.entry(one.partner_id).weight for one in able}
    drawn = draw(facts.seed)
    chosen = pick(weights, drawn)
    share = (Decimal(drawn) / SEED_RANGE).quantize(DRAW_DIGITS)
    return Routing(partners=chosen, strategy=WEIGHTED, seed=facts.seed, draw=share, order=chosen)


def draw(seed: str) -> int:
    """The number between 0 and 2⁶⁴ that a seed gives."""
    return int.from_bytes(sha256(seed.encode()).digest()[:SEED_BYTES], "big")


def pick(weights: Mapping[PartnerId, int], drawn: int) -> tuple[PartnerId, ...]:
    """The one partner on whom a draw falls; nobody where no weight is above 0."""
    target, passed = drawn * sum(weights.values()), 0
    for who in sorted(weights):
        passed += weights[who]
        if passed * SEED_RANGE > target:
            return (who,)
    return ()


def _by_distance(able: Sequence[Taker], facts: RoutingFacts, rules: LeadRules) -> Routing:
    """The nearest in the first box that holds anybody; without one, a partner of the same country by turn."""
    away = {one.partner_id: distance for one in able if (distance := _away(rules.entry(one.partner_id), facts))}
    for latitude, longitude in BOXES:
        inside = {who: d for who, d in away.items() if d[0] <= latitude and d[1] <= longitude}
        if inside:
            order = tuple(sorted(inside, key=lambda who: (inside[who][0] ** 2 + inside[who][1] ** 2, who)))
            return Routing(partners=order[:1], strategy=NEAREST, order=order[:ORDER_MAX])
    return _by_turn([one for one in able if one.country == facts.country], facts, rules)


def _away(entry: Routed, facts: RoutingFacts) -> tuple[Decimal, Decimal] | None:
    """Degrees of latitude and longitude between a partner and the lead, the shorter way round."""
    here, there = (facts.latitude, facts.longitude), (entry.latitude, entry.longitude)
    if here[0] is None or here[1] is None or there[0] is None or there[1] is None:
        return None
    across = abs(here[1] - there[1])
    return abs(here[0] - there[0]), min(across, 360 - across)


_STRATEGIES: dict[str, Strategy] = {
    LEAST_RECENT: _by_turn,
    WEIGHTED: _by_weight,
    NEAREST: _by_distance,
    ORDERED: _by_list,
    BROADCAST: _by_broadcast,
}

# Explanation

WHY = {
    LEAST_RECENT: "Whose last lead is longest ago comes first.",
    WEIGHTED: "A draw by weight, from the seed that stands beside it.",
    NEAREST: "Who is nearest to the customer comes first.",
    ORDERED: "The rules list who comes first.",
    BROADCAST: "Several partners are asked at once; the first to accept has it.",
    INCUMBENT: "Who has sold to this customer before comes first.",
    NAMED: "A person of the vendor named the partner.",
    POOL: "It was in the pool, and the first to claim it has it.",
    VENDOR: "A lead that a partner brings is the vendor's to take.",
}


def explained(routing: Routing, rules: str) -> Decision:
    """A routing in the one form in which every decision is explained. Who else was looked at is the vendor's to know."""
    book, _, version = rules.rpartition("@")
    outcome = "offered" if routing.partners or routing.strategy == VENDOR else POOL
    reason = Reason(
        code=routing.strategy.replace("_", "-"), text=WHY[routing.strategy], rule=book, version=int(version or 0)
    )
    inputs = [Input(name="offered_to", value=list(routing.partners)), Input(name="order", value=list(routing.order))]
    if routing.seed:
        inputs += [Input(name="seed", value=routing.seed), Input(name="draw", value=str(routing.draw))]
    passed = [Input(name=f"passed {one.partner_id}", value=one.code) for one in routing.passed]
    return Decision(outcome=outcome, reasons=(reason,), inputs=(*inputs, *passed))


def evaluate(facts: RoutingFacts, rules: LeadRules) -> Decision:
    """What the rules answer to the facts."""
    return explained(route(facts, rules), facts.rules)


LEAD_RULES = Kind[RoutingFacts, LeadRules](
    name="lead_rules",
    body=LeadRules,
    facts=RoutingFacts,
    evaluate=evaluate,
    check=faults,
    vendor_only=frozenset({"partners"}),
)
