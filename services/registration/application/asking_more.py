"""What commands would have been made with under rules that ask for more than those of then: for shadow runs.

Slots, traces and exclusive territories are looked up only where the rules in force want them. What rests on them in the
other world is found there by what its commands wrote, from where the run begins.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from chassis.decider import Stream
from chassis.event import LEFT_OUT, replace
from chassis.execution import Besides, Glimpse
from services.registration.application.on_deals import traces_again
from services.registration.application.registering import exclusives_of, left_behind, lost_before, rules_for, slots_seen
from services.registration.application.streams import capacity_streams
from services.registration.domain.capacity import ReleaseSlot, SlotsSeen, quarter_of
from services.registration.domain.deal import OPEN, Deal, Deals
from services.registration.domain.deal_commands import RegisterDeal, ResubmitDeal, Screens
from services.registration.domain.rules import ASKED, DOCUMENT, DealRules
from services.registration.domain.screening import DEAL_RULES
from services.registration.domain.trace import Trace, TracesOf, documents_of

S = TypeVar("S", bound=Screens)


async def registration(wish: RegisterDeal, glimpse: Glimpse) -> RegisterDeal:
    """The registration as the rules of the other world would have had it made."""
    rules = await rules_for(glimpse, wish)
    if rules is None:
        return wish
    traces = (*wish.traces, *_unwatched(wish, rules))
    changed: dict[str, Any] = {
        "slots": await _slots(wish, rules, glimpse),
        "traces": traces,
        "lost": await _lost(wish, traces, glimpse),
        "exclusives": await exclusives_of(glimpse, wish, rules) if wish.exclusives is LEFT_OUT else wish.exclusives,
    }
    same = all(getattr(wish, name) == value for name, value in changed.items())
    return wish if same else replace(wish, **changed)


async def screening(wish: S, glimpse: Glimpse) -> S:
    """A new look at a deal that came out differently, which may have been registered under other rules."""
    stream = Deals.at(wish.registration_id)
    deal: Deal = await glimpse(stream)
    if deal.registered is None or not glimpse.differs(stream):
        return wish
    details = wish.details if isinstance(wish, ResubmitDeal) else deal.now_details
    traces = await traces_again(glimpse, deal, details)
    return wish if traces == wish.traces else replace(wish, traces=traces)


async def release(wish: ReleaseSlot, glimpse: Glimpse) -> ReleaseSlot:
    """A deal that is still open in the other world keeps its slot."""
    deal: Deal = await glimpse(Deals.at(wish.registration_id))
    return replace(wish, quarters=()) if deal.status in OPEN else wish


async def _slots(wish: RegisterDeal, rules: DealRules, glimpse: Glimpse) -> SlotsSeen | None:
    """As recorded where the rules count, and the partner's slots are as they were."""
    if wish.slots is not None and rules.counts_open:
        capacity = capacity_streams(wish.partner_id, wish.slots.quarter)
        await glimpse(capacity)
        if not glimpse.differs(capacity):
            return wish.slots
    return await slots_seen(glimpse, wish, rules)


def _unwatched(wish: RegisterDeal, rules: DealRules) -> tuple[Trace, ...]:
    """The traces of what these rules watch for and nobody did then."""
    known = {trace.kind for trace in wish.traces}
    leaves_none = set() if wish.details.evidence else {DOCUMENT}
    if known | leaves_none >= set(rules.watch_for):
        return ()
    return tuple(trace for trace in left_behind(wish, rules) if trace.kind not in known)


async def _lost(wish: RegisterDeal, traces: Iterable[Trace], glimpse: Glimpse) -> tuple[Any, ...]:
    asked = [TracesOf.at(trace.identity) for trace in traces if trace.kind == ASKED]
    before = [Deals.at(left.registration_id) for state in await glimpse.all(asked) for left in state.left]
    await glimpse.all(before)
    differs = any(glimpse.differs(one) for one in (*asked, *before))
    return await lost_before(glimpse, wish, traces) if differs else wish.lost


# What is written besides


def registering_besides(kind: str, body: Mapping[str, Any]) -> Besides | None:
    """The slots and the traces that these rules want."""
    rules = _asking(kind, body)
    if rules is None:
        return None

    def besides(wish: RegisterDeal) -> Iterable[Stream]:
        slots = [capacity_streams(wish.partner_id, quarter_of(wish.now))] if rules.counts_open else []
        return (*slots, *(TracesOf.at(trace.identity) for trace in _unwatched(wish, rules)))

    return besides


def resubmitting_besides(kind: str, body: Mapping[str, Any]) -> Besides | None:
    """The traces of the documents: all else that a deal is known by it left behind when it was registered."""
    rules = _asking(kind, body)
    if rules is None or DOCUMENT not in rules.watch_for:
        return None
    return lambda wish: [TracesOf.at(one.identity) for one in documents_of(e.sha256 for e in wish.details.evidence)]


def _asking(kind: str, body: Mapping[str, Any]) -> DealRules | None:
    """The rules of deals, where they ask for anything that rules may leave out."""
    if kind != DEAL_RULES.name:
        return None
    rules = DEAL_RULES.read(body)
    return rules if rules.counts_open or rules.watch_for else None
