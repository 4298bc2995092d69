"""The claims on one customer, where their stream goes on in a new segment."""

from datetime import UTC, datetime

from contracts.values import ProductLine, Span
from services.registration.domain.claim import HELD, WAITING, Claim
from services.registration.domain.claims import Claims, ClaimsOf, carry, evolve
from services.registration.domain.overlap import Place, Reach

REACH = Reach(
    products=(ProductLine(family="cloud", sku="100"),), role="resell", deal_type="new", place=Place(country="DE")
)
AT = datetime(2026, 3, 3, 10, tzinfo=UTC)


def claim(name: str, **fields: object) -> Claim:
    return Claim(
        registration_id=f"deal-{name}",
        partner_id=name,
        reach=REACH,
        priority="first_to_register",
        submitted_at=AT,
        **fields,
    )


def test_a_new_segment_goes_on_with_every_live_claim_in_its_order() -> None:
    held = claim("north", state=HELD, protection=Span(start=AT, end=datetime(2026, 6, 1, tzinfo=UTC)))
    live = Claims((held, claim("south", state=WAITING), claim("west")))
    assert live == evolve(ClaimsOf.initial, carry(live))
