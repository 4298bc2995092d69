"""Two partners become one: proposed, confirmed, undone within thirty days, and everything as before."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.decider import Invalid, WrongState
from chassis.rulebook import FourEyes
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from services.onboarding.application import HANDLES
from services.onboarding.domain.merging import (
    MergeInvalid,
    MergePartners,
    MergeProposed,
    PartnerAbsorbed,
    PartnerParted,
    PartnersMerged,
    PartnersUnmerged,
    TooLate,
    UndoMerge,
)
from services.onboarding.domain.partner import Partners
from services.onboarding.projections.partners import PARTNERS
from tests.onboarding.test_offboarding import STARTED
from tests.onboarding.test_partner import ACTIVE, HISTORIES, SUSPEND, SUSPENDED, US

NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)
DAY = date(2026, 3, 31)
BY_COMMAND = {handles.command: handles for handles in HANDLES}
THEM = Partners.at("p-2")
MERGE = MergePartners(partner_id="p-1", into="p-2", effective_on=DAY, by="ada", now=NOW)
SECOND = replace(MERGE, by="amir")
PROPOSED = MergeProposed(partner_id="p-1", into="p-2", effective_on=DAY, proposed_by="ada", proposed_at=NOW)
MERGED = PartnersMerged(
    partner_id="p-1", into="p-2", effective_on=DAY, proposed_by="ada", merged_by="amir", merged_at=NOW
)
ABSORBED = PartnerAbsorbed(partner_id="p-2", absorbed_id="p-1", effective_on=DAY, absorbed_at=NOW)
UNDO = UndoMerge(partner_id="p-1", into="p-2", by="ada", now=NOW + timedelta(days=30))
UNMERGED = PartnersUnmerged(partner_id="p-1", survivor_id="p-2", scopes=(), unmerged_by="ada", unmerged_at=UNDO.now)
PARTED = PartnerParted(partner_id="p-2", absorbed_id="p-1", parted_at=UNDO.now)
THEIRS = [replace(one, partner_id="p-2") for one in ACTIVE]
ONE = [*ACTIVE, PROPOSED, MERGED]


def when(command: Any, ours: Any = ACTIVE, theirs: Any = THEIRS) -> Any:
    return given(BY_COMMAND[type(command)], (US, ours), (THEM, theirs)).when(command)


def test_one_administrator_proposes_and_another_one_confirms_the_same_terms() -> None:
    when(MERGE).then([PROPOSED], [])
    when(MERGE, [*ACTIVE, PROPOSED]).refused(FourEyes)
    when(SECOND, [*ACTIVE, PROPOSED]).then([MERGED], [ABSORBED])
    when(SECOND, ONE, [*THEIRS, ABSORBED]).then_nothing()


def test_other_terms_or_a_proposal_of_two_weeks_ago_are_proposed_anew() -> None:
    other = replace(SECOND, effective_on=date(2026, 4, 1))
    when(other, [*ACTIVE, PROPOSED]).then([replace(PROPOSED, effective_on=date(2026, 4, 1), proposed_by="amir")], [])
    late = replace(SECOND, now=NOW + timedelta(days=14, seconds=1))
    when(late, [*ACTIVE, PROPOSED]).then([replace(PROPOSED, proposed_by="amir", proposed_at=late.now)], [])


@pytest.mark.parametrize("state", ["none", "review", "declined", "withdrawn"])
def test_only_partners_that_do_business_become_one(state: str) -> None:
    when(MERGE, HISTORIES[state]).refused(WrongState)
    when(MERGE, ACTIVE, [replace(one, partner_id="p-2") for one in HISTORIES[state]]).refused(MergeInvalid)


def test_who_leaves_or_is_merged_already_is_no_part_of_a_merge() -> None:
    when(MERGE, [*ACTIVE, STARTED]).refused(MergeInvalid)
    when(MERGE, ACTIVE, [*THEIRS, replace(STARTED, partner_id="p-2")]).refused(MergeInvalid)
    when(MERGE, ACTIVE, [*THEIRS, replace(MERGED, partner_id="p-2", into="p-3")]).refused(MergeInvalid)
    when(replace(MERGE, into="p-3"), ONE).refused(WrongState)


@pytest.mark.parametrize("day", [date(2026, 4, 2), date(2025, 3, 31)])
def test_a_merge_is_recorded_once_it_holds(day: date) -> None:
    when(replace(MERGE, effective_on=day)).refused(Invalid)


def test_it_is_undone_within_thirty_days() -> None:
    when(UNDO, ONE).then([UNMERGED], [PARTED])
    when(replace(UNDO, now=UNDO.now + timedelta(seconds=1)), ONE).refused(TooLate)
    when(replace(UNDO, into="p-3"), ONE).refused(MergeInvalid)
    when(UNDO).then_nothing()
    when(UNDO, [*ONE, UNMERGED]).then_nothing()


def test_a_merged_partner_does_nothing_new_and_is_as_before_when_it_is_undone() -> None:
    when_alone = given(BY_COMMAND[type(SUSPEND)], (US, ONE)).when(SUSPEND)
    when_alone.refused(WrongState)
    closed = [*ACTIVE, SUSPENDED, PROPOSED, MERGED]
    meanwhile = replace(UNDO, now=SUSPENDED.until)
    when(meanwhile, closed).then(
        [replace(UNMERGED, unmerged_at=meanwhile.now)], [replace(PARTED, parted_at=meanwhile.now)]
    )
    before = replace(UNDO, now=NOW)
    again = replace(UNMERGED, scopes=("access",), unmerged_at=NOW)
    when(before, closed).then([again], [replace(PARTED, parted_at=NOW)])
    assert Partners.fold([*closed, again]) == Partners.fold([*ACTIVE, SUSPENDED])


@for_all(st.lists(st.sampled_from(["merge", "undo"]), max_size=6))
def test_a_merge_undone_leaves_the_documents_as_before(turns: list[str]) -> None:
    """The position in the log alone goes on."""
    facts = [PROPOSED, MERGED, ABSORBED]
    both = [*ACTIVE, *THEIRS, *(fact for _ in turns for fact in [*facts, UNMERGED, PARTED])]
    shown = project(PARTNERS, told(*both))
    plain = project(PARTNERS, told(*ACTIVE, *THEIRS))
    assert {name: {**one, "version": 0} for name, one in shown.items()} == {
        name: {**one, "version": 0} for name, one in plain.items()
    }


def test_both_partners_show_that_they_are_one() -> None:
    seen = told(*ACTIVE, *THEIRS, PROPOSED, MERGED, ABSORBED)
    shown = project(PARTNERS, seen)
    assert_repeatable(PARTNERS, seen)
    assert shown["p-1"]["status"] == "merged"
    assert shown["p-1"]["merge"] == {
        "into": "p-2",
        "effective_on": "2026-03-31",
        "proposed_by": "ada",
        "merged_at": "2026-04-01T10:00:00Z",
    }
    assert shown["p-2"]["absorbed"] == [{"partner_id": "p-1", "effective_on": "2026-03-31"}]
