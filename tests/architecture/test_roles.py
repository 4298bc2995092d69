"""Names that two services know must be the same ones: no service imports another."""

from services.gateway.domain.staff import DUTIES, ROLES
from services.registration.domain.rules import APPROVER_DUTIES, APPROVERS


def test_a_step_of_an_approval_may_name_whoever_the_vendor_s_people_can_be() -> None:
    assert set(APPROVERS) < set(ROLES)
    assert APPROVER_DUTIES == DUTIES
