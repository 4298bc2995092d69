"""A client of the harness that is told to come again comes again, with the same request."""

import pytest
from aiokafka.errors import KafkaTimeoutError
from starlette.types import Receive, Scope, Send

from chassis.asgi import Api
from chassis.decider import Busy
from tests.faults.load import however_late
from tests.scenarios.distributed import FiveProcesses
from tests.scenarios.patient import coming_again


async def test_who_is_told_to_come_again_does_until_there_is_an_answer() -> None:
    asked: list[tuple[str, bytes]] = []

    async def busy_twice(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append((scope["path"], (await receive())["body"]))
        busy = len(asked) < 3
        headers = [(b"retry-after", b"1")] if busy else []
        await send({"type": "http.response.start", "status": 503 if busy else 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    answer = await Api(coming_again(busy_twice)).post("/approve", {"a": 1}, key="agree")

    assert answer.status == 201
    assert asked == [("/approve", b'{"a":1}')] * 3


class SlowBroker(FiveProcesses):
    async def _relayed(self) -> bool:
        raise KafkaTimeoutError


async def test_a_broker_that_is_slow_to_answer_is_looked_at_again_until_patience_ends() -> None:
    it = SlowBroker({}, None, "")

    with pytest.raises(TimeoutError, match="the broker to answer: KafkaTimeoutError"):
        await it.settle(seconds=0.2)


async def test_what_met_a_busy_store_is_done_again_and_other_trouble_is_told() -> None:
    met: list[Exception] = [Busy("later"), Busy("later"), KeyError("ours")]

    async def look() -> None:
        raise met.pop(0)

    with pytest.raises(KeyError):
        await however_late(look, Busy)
    assert met == []
