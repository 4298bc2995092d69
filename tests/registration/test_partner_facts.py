"""What registration knows of a partner: the newest word of whoever owns it, whenever it is heard."""

import pytest

from chassis.testing.kit import given
from contracts.values import PartnerId
from services.registration.domain.partner_facts import Partners, RecordPartnerFacts
from tests.registration.deals import BY_COMMAND, NOW, partner_facts

SUSPENDED = RecordPartnerFacts(
    partner_id=PartnerId("p-1"),
    revision=2,
    suspended=("new_business",),
    source_event_id="suspended",
    source_position=8,
    now=NOW,
)


@pytest.mark.parametrize("revision", [1, 0])
def test_older_news_of_a_partner_and_the_same_again_change_nothing(revision: int) -> None:
    again = RecordPartnerFacts(
        partner_id=PartnerId("p-1"),
        revision=revision,
        suspended=("new_business",),
        source_event_id="late",
        source_position=9,
        now=NOW,
    )
    given(BY_COMMAND[RecordPartnerFacts], (Partners.at("p-1"), [partner_facts()])).when(again).then_nothing()


def test_newer_news_of_a_partner_leave_what_they_do_not_speak_of() -> None:
    before = partner_facts()
    (news,) = given(BY_COMMAND[RecordPartnerFacts], (Partners.at("p-1"), [before])).when(SUSPENDED).verdict.events[0]
    known = Partners.fold([before, news])
    assert (known.types, known.suspended) == (("reseller",), ("new_business",))
    assert (known.event_id, known.position, known.may_register(NOW.date())) == ("suspended", 8, False)
