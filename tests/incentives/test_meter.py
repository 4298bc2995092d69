"""A meter that goes on in a new segment."""

from decimal import Decimal

from services.incentives.domain.meter import Meter, Meters, carry, evolve


def test_a_new_segment_goes_on_with_the_measure() -> None:
    assert Meter(measure=Decimal("123456.78")) == evolve(Meters.initial, carry(Meter(measure=Decimal("123456.78"))))
