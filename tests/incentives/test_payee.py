"""Who may be paid: the gate follows the partner, and an old fact that comes again moves nothing."""

from datetime import UTC, datetime, timedelta

from chassis.testing.kit import given
from services.incentives.application import HANDLES
from services.incentives.domain.payee import Payee, Payees, unmet
from services.incentives.domain.payee_commands import OpenPayee, ReinstatePayee, SuspendPayee
from services.incentives.domain.payee_events import PayeeOpened, PayeeReinstated, PayeeSuspended

NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
TABLE = {handles.command: handles for handles in HANDLES}
P1 = Payees.at("p1")
OPENED = PayeeOpened(payee_id="p1", partner_id="p1", revision=1, opened_at=NOW)
SUSPENDED = PayeeSuspended(
    payee_id="p1",
    partner_id="p1",
    revision=2,
    scopes=("payouts",),
    reason_code="audit",
    until=None,
    suspended_at=NOW,
)
REINSTATED = PayeeReinstated(payee_id="p1", partner_id="p1", revision=3, reinstated_at=NOW)
SUSPEND = SuspendPayee(partner_id="p1", revision=2, scopes=("payouts",), reason_code="audit", now=NOW)


def test_an_active_partner_can_be_paid():
    given(TABLE[OpenPayee]).when(OpenPayee(partner_id="p1", revision=1, now=NOW)).then([OPENED])
    assert unmet(Payees.fold([OPENED]), NOW) == ()


def test_who_was_never_activated_cannot():
    assert unmet(Payee(), NOW) == ("not_active",)


def test_activation_comes_twice_and_counts_once():
    given(TABLE[OpenPayee], (P1, [OPENED])).when(OpenPayee(partner_id="p1", revision=1, now=NOW)).then_nothing()


def test_a_suspension_of_payouts_shuts_the_gate():
    given(TABLE[SuspendPayee], (P1, [OPENED])).when(SUSPEND).then([SUSPENDED])
    assert unmet(Payees.fold([OPENED, SUSPENDED]), NOW) == ("suspended",)


def test_a_suspension_of_other_scopes_does_not():
    wish = SuspendPayee(partner_id="p1", revision=2, scopes=("access",), reason_code="audit", now=NOW)
    verdict = given(TABLE[SuspendPayee], (P1, [OPENED])).when(wish).verdict
    assert unmet(Payees.fold([OPENED, *verdict.events[0]]), NOW) == ()


def test_a_suspension_whose_end_has_passed_binds_nobody():
    until = NOW + timedelta(days=1)
    wish = SuspendPayee(partner_id="p1", revision=2, scopes=("payouts",), reason_code="audit", until=until, now=NOW)
    state = Payees.fold([OPENED, *given(TABLE[SuspendPayee], (P1, [OPENED])).when(wish).verdict.events[0]])
    assert unmet(state, NOW) == ("suspended",)
    assert unmet(state, until) == ()


def test_a_reinstatement_opens_the_gate():
    wish = ReinstatePayee(partner_id="p1", revision=3, now=NOW)
    given(TABLE[ReinstatePayee], (P1, [OPENED, SUSPENDED])).when(wish).then([REINSTATED])


def test_a_suspended_then_reinstated_partner_stays_reinstated_when_the_old_event_comes_again():
    given(TABLE[SuspendPayee], (P1, [OPENED, SUSPENDED, REINSTATED])).when(SUSPEND).then_nothing()
    late = (P1, [SUSPENDED, REINSTATED])
    verdict = given(TABLE[OpenPayee], late).when(OpenPayee(partner_id="p1", revision=1, now=NOW)).verdict
    state = Payees.fold([SUSPENDED, REINSTATED, *verdict.events[0]])
    assert (state.revision, unmet(state, NOW)) == (3, ())
