"""What pages know of services that are late, have stopped, or miss a message."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from chassis.identity import Principal
from services.gateway.api.portal.standing import FarStates, Models, standing_of

ADA = Principal(tenant="acme", subject="ada", kind="person")


def told(**models: dict[str, Any]) -> dict[str, Any]:
    sound = {"live": True, "behind": 0, "filling": [], "no_feed": [], "stopped": None, "incomplete": False}
    return {"ready": True, "models": {name: sound | model for name, model in models.items()}, "parked": 1}


def test_models_that_stopped_and_those_that_miss_a_message_are_named_by_service() -> None:
    states = {
        "registration": told(deal={"incomplete": True}, conflicts={"incomplete": True}, leads={}),
        "gateway": told(timeline={"stopped": "evolve raised ValueError"}, deal_cards={"incomplete": True}),
    }
    standing = standing_of(states)
    assert standing.incomplete == Models(
        named=(("gateway", ("deal_cards",)), ("registration", ("conflicts", "deal"))), more=0
    )
    assert standing.stopped == Models(named=(("gateway", ("timeline",)),), more=0)
    assert (standing.whole, standing.ready, standing.parked) == (False, True, 2)


def test_no_more_models_are_named_than_a_person_reads() -> None:
    standing = standing_of({"incentives": told(**{f"m{n}": {"incomplete": True} for n in range(9)})})
    assert standing.incomplete == Models(named=(("incentives", ("m0", "m1", "m2", "m3", "m4", "m5")),), more=3)
    assert standing.incomplete.count == 9


def test_a_model_that_stands_is_not_said_to_be_catching_up() -> None:
    states = {"gateway": told(timeline={"stopped": "a bug", "behind": 900}, deal_cards={"behind": 120})}
    assert standing_of(states).behind == 120


def test_services_at_the_present_are_nothing_to_speak_of() -> None:
    standing = standing_of({"gateway": told(timeline={"behind": 99})})
    assert (standing.behind, standing.whole, standing.stopped.count) == (0, True, 0)


# Services in other processes


@dataclass
class Elsewhere:
    """Services at addresses: what each is asked, and what it answers."""

    answers: dict[str, tuple[int, Any]]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def knows(self, service: str) -> bool:
        return service in self.answers

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append((service, scope["path"]))
        status, body = self.answers[service]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})


def app_with(elsewhere: Elsewhere) -> Any:
    signer = SimpleNamespace(sign=lambda principal, service: "signed")
    return SimpleNamespace(ports=SimpleNamespace(upstreams=elsewhere, signer=signer))


async def test_services_of_other_processes_are_asked_how_they_stand_and_not_at_every_page() -> None:
    state = told(deal={"incomplete": True})
    elsewhere = Elsewhere({"registration": (503, {"ready": False, "services": {"registration": state}})})
    far = FarStates()
    for _ in range(2):
        assert await far.of(app_with(elsewhere), ADA, ["registration"]) == {"registration": state}
    assert elsewhere.asked == [("registration", "/readyz")]


async def test_a_service_that_is_away_is_left_out() -> None:
    elsewhere = Elsewhere({"registration": (503, {"slug": "unavailable"}), "incentives": (200, {"services": {}})})
    assert await FarStates().of(app_with(elsewhere), ADA, ["registration", "incentives"]) == {}
