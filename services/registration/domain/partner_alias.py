"""Two partners that became one are no rivals: in every line in which the one stands it counts as the other.

No claim moves and nobody loses a hold. What they contested between them is contested no more, and who waited only for
the other one moves up. Where they are two again and both hold the same by then, both holds are contested, and a dispute
over the younger one decides, as where two accounts are merged.
"""

from datetime import datetime

from chassis.decider import Raced
from chassis.event import command
from chassis.rulebook import Rulebook
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.domain.claim import Claim
from services.registration.domain.claims import ClaimEvent, Claims, alias, meeting, reconciled
from services.registration.domain.deal import Deal
from services.registration.domain.dispute import SERVICE, Dispute, DisputeEvent
from services.registration.domain.merging import Collision, Contested, Opening, contests, settle, young_of


@command("registration.AliasPartner.v1")
class AliasPartner:
    """A partner counts as another one on these customers; with None by itself again.

    `settled` are the deals whose holds nobody contests any more by that.
    """

    partner_id: PartnerId
    counts_as: PartnerId | None
    accounts: tuple[AccountId, ...]
    collisions: tuple[Collision, ...] = ()
    settled: tuple[RegistrationId, ...] = ()
    by: str = SERVICE
    now: datetime


Aliased = tuple[list[list[ClaimEvent]], list[list[DisputeEvent]], list[list[DisputeEvent]]]


def alias_partner(
    wish: AliasPartner, lines: tuple[Claims, ...], opening: Opening, settling: Opening, *around: *Contested
) -> Aliased:
    """Lets a partner count as the one that it became one with, or by itself again, in one commit a customer."""
    return _aliased(wish, young_of(met_by(wish, lines)), lines, opening, settling, *around)


def alias_partner_between_deals(
    wish: AliasPartner,
    lines: tuple[Claims, ...],
    opening: Opening,
    settling: Opening,
    young: tuple[Deal, ...],
    books: tuple[Rulebook, ...],
) -> Aliased:
    """As the first evaluator decided: no dispute opened where who takes part in a deal was on either side."""
    met = (pair for pair in met_by(wish, lines) if not any(claim.deal_id for claim in pair))
    return _aliased(wish, young_of(met), lines, opening, settling, young, books, ())


def _aliased(
    wish: AliasPartner,
    met: tuple[RegistrationId, ...],
    lines: tuple[Claims, ...],
    opening: Opening,
    settling: Opening,
    *around: *Contested,
) -> Aliased:
    if {one.registration_id for one in wish.collisions} != set(met):
        raise Raced
    if wish.settled != settled_by(wish, lines) or any(line.moved_to is not None for line in lines):
        raise Raced
    opened = contests(wish, (claim for line in lines for claim in line.live), opening, *around)
    changed = [alias(line, wish.partner_id, wish.counts_as, wish.now) for line in lines]
    return changed, opened, [_settled(dispute, lines, wish.now) for dispute in settling]


def met_by(wish: AliasPartner, lines: tuple[Claims, ...]) -> tuple[tuple[Claim, Claim], ...]:
    """The rivals that hold the same by it, the earlier one first."""
    return tuple(pair for line in lines for pair in meeting(line, wish.partner_id, wish.counts_as, wish.now))


def settled_by(wish: AliasPartner, lines: tuple[Claims, ...]) -> tuple[RegistrationId, ...]:
    """The deals whose holds nobody contests any more by it."""
    anew = {claim.registration_id for pair in met_by(wish, lines) for claim in pair}
    free = (one for line in lines for one in reconciled(line, wish.partner_id, wish.counts_as))
    return tuple(dict.fromkeys(one for one in free if one not in anew))


def _settled(dispute: Dispute, lines: tuple[Claims, ...], now: datetime) -> list[DisputeEvent]:
    """The end of a dispute that nobody filed, where all that it was about stands in these lines."""
    here = {claim.registration_id for line in lines for claim in line.live}
    about = dispute.opened is not None and here.issuperset(dispute.opened.against)
    return settle(dispute, now) if about else []
