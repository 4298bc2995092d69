"""What waits for whom: it comes when a service asks, goes when that is settled, and each reads only their own."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.event import LEFT_OUT
from chassis.identity import Principal
from chassis.read_store.port import Contains
from chassis.testing.projections import assert_repeatable, project, told
from contracts import registration
from contracts.shared import AttentionCleared, AttentionRaised
from services.gateway.api.worklist import waiting_for
from services.gateway.projections.worklist import WORKLIST
from tests.gateway.test_projections import of
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done

RAISED = of(
    AttentionRaised,
    attention_id="r-1.review.0",
    side="vendor",
    roles=("deal_desk",),
    topic="deal-review",
    subject="r-1",
    partner_id=None,
    due_at=datetime(2026, 3, 9, 10, tzinfo=UTC),
    severity="normal",
    person_id=LEFT_OUT,
)
CLEARED = of(AttentionCleared, attention_id="r-1.review.0", topic="deal-review", subject="r-1")
RETURNED = of(registration.DealReturned, registration_id="r-1", partner_id="p-1", due_at=None)
ENDED = of(registration.ProtectionEnded, registration_id="r-1")


def named(*events: Any) -> list[str]:
    """The tasks that are left."""
    return sorted(task["task_id"] for task in project(WORKLIST, told(*events)).values())


def raised(attention_id: str, topic: str, subject: str = "r-1") -> AttentionRaised:
    return replace(RAISED, attention_id=attention_id, topic=topic, subject=subject)


def test_a_task_says_for_whom_it_is_and_until_when() -> None:
    (task,) = project(WORKLIST, told(RAISED)).values()
    assert {name: value for name, value in task.items() if name != "source"} == {
        "task_id": "r-1.review.0",
        "side": "vendor",
        "roles": ["deal_desk"],
        "topic": "deal-review",
        "subject": "r-1",
        "partner_id": None,
        "severity": "normal",
        "raised_at": "2026-03-02T09:00:00Z",
        "due_at": "2026-03-09T10:00:00Z",
        "order": "2026-03-09T10:00:00Z",
    }


def test_what_is_asked_of_one_person_waits_for_that_one_alone_whatever_its_roles() -> None:
    (task,) = project(
        WORKLIST, told(replace(RAISED, side="partner", partner_id="p-1", roles=(), person_id="x-1"))
    ).values()
    assert task["roles"] == ["person:x-1"]
    who = {"tenant": "acme", "kind": "partner", "partner_id": "p-1", "roles": ("owner",)}
    for subject, reads in (("x-1", True), ("x-2", False)):
        asked = waiting_for(Principal(subject=subject, **who))
        assert asked is not None
        assert (f"person:{subject}" in task["roles"]) is reads
        assert asked["roles"] == Contains.any_of(["owner", f"person:{subject}"])


def test_an_admin_reads_what_waits_for_any_role_and_may_look_at_its_own_alone() -> None:
    ada = Principal(tenant="acme", subject="s-1", kind="vendor", roles=("admin",), duties=("arbiter",))
    everybodys, own = waiting_for(ada), waiting_for(ada, own=True)
    assert everybodys is not None
    assert own is not None
    assert "roles" not in everybodys
    assert own["roles"] == Contains.any_of(["admin", "arbiter", "person:s-1"])


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        ({"kind": "vendor", "roles": ("marketing",), "duties": ("arbiter",)}, "arbiter"),
        ({"kind": "vendor", "roles": ("deal_desk",), "duties": ("fund_manager",)}, "fund_manager"),
        ({"kind": "partner", "partner_id": "p-1", "roles": ("marketer",)}, "marketer"),
    ],
)
def test_who_reads_no_events_of_a_service_reads_what_it_asks_of_them(who: dict[str, Any], asked: str) -> None:
    mine = waiting_for(Principal(tenant="acme", subject="s-1", **who))
    assert mine is not None
    assert "source" not in mine
    assert asked in mine["roles"].values


def test_what_is_settled_waits_no_more_until_it_is_asked_again() -> None:
    assert named(RAISED, CLEARED) == []
    assert named(RAISED, CLEARED, RAISED) == ["r-1.review.0"]


def test_what_was_cleared_under_another_topic_is_gone_too() -> None:
    fact = raised("f-1", "fact-no-rate", "o-1")
    assert named(fact, replace(CLEARED, attention_id="f-1", topic="fact-resolved", subject="o-1")) == []


def test_a_returned_deal_waits_for_its_partner_until_it_is_sent_again() -> None:
    (task,) = project(WORKLIST, told(RETURNED)).values()
    told_of = ("side", "roles", "topic", "partner_id", "due_at", "order")
    assert [task[name] for name in told_of] == [
        "partner",
        ["owner", "seller"],
        "deal-returned",
        "p-1",
        None,
        "2026-03-02T09:00:00Z",
    ]
    assert named(RETURNED, of(registration.DealResubmitted, registration_id="r-1")) == []


@pytest.mark.parametrize(
    "over",
    [
        registration.DealRejected,
        registration.DealWithdrawn,
        registration.DealRevoked,
        registration.ProtectionEnded,
    ],
)
def test_nobody_need_look_at_a_deal_that_is_over(over: type[Any]) -> None:
    asked = [raised("r-1.idle", "deal-inactive"), raised("r-1.extension", "deal-extension"), RETURNED]
    other = raised("r-2.idle", "deal-inactive", "r-2")
    assert named(*asked, other, of(over, registration_id="r-1")) == ["r-2.idle"]


def test_nobody_need_look_at_a_held_back_lead_that_is_closed() -> None:
    assert named(raised("l-1.appeal", "lead-appeal", "l-1"), of(registration.LeadClosed, lead_id="l-1")) == []


def test_what_can_only_be_read_is_no_task() -> None:
    assert named(raised("c-1", "claim-denied", "c-1")) == []


def test_repeats_and_other_orders_change_nothing() -> None:
    assert_repeatable(WORKLIST, told(RAISED, CLEARED, RAISED, RETURNED, ENDED, raised("r-2.idle", "deal-inactive")))


async def listed(it: System, name: str, query: str = "") -> list[tuple[str, str]]:
    """Topic and subject of what waits for somebody."""
    items = done(await (await it.who(name)).get(f"/v1/worklist?limit=200{query}"))["items"]
    return [(item["topic"], item["subject"]) for item in items]


@pytest.mark.asyncio(loop_scope="module")
async def test_each_reads_what_one_of_their_own_roles_is_asked_for(it: System) -> None:
    north, dora = await it.who("northwind"), await it.who("dora")
    made = done(await north.post(DEALS, deal("Waldsee Milch GmbH", "waldsee-milch.de"), key="wait"), 201)
    one = made["registration_id"]
    await it.settle()
    review, correct = ("deal-review", one), ("deal-returned", one)
    assert review in await listed(it, "dora")
    assert review in await listed(it, "dora", "&role=deal_desk&topic=deal-review")
    assert review in await listed(it, "ada")
    assert review in await listed(it, "ada", "&role=deal_desk")
    for who, query in (
        ("finn", ""),
        ("finn", "&role=deal_desk"),
        ("northwind", ""),
        ("ada", "&role=finance"),
        ("dora", "&topic=dispute"),
    ):
        assert review not in await listed(it, who, query)
    done(await dora.post(f"{DEALS}/{one}/return", {"fields": ["amount"], "message": "All of it?"}, key="back"))
    await it.settle()
    assert review not in await listed(it, "dora")
    assert correct in await listed(it, "northwind")
    assert correct not in [*await listed(it, "southbridge"), *await listed(it, "ada")]
