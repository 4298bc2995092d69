"""Questions that are asked at once travel together, and each has its own answer."""

import asyncio

import pytest

from chassis.read_store.questions import Question, Questions, Rows


class Engine:
    """Answers with the values that were asked with, once it may; remembers what came on one journey."""

    def __init__(self) -> None:
        self.journeys: list[list[bytes]] = []
        self.may = asyncio.Event()
        self.may.set()

    async def ask(self, questions: list[Question]) -> list[Rows | Exception]:
        self.journeys.append([statement for statement, _ in questions])
        await self.may.wait()
        return [ValueError("no") if statement == b"wrong" else [tuple(values)] for statement, values in questions]


async def asked(questions: Questions, *statements: bytes) -> list[Rows | BaseException]:
    return await asyncio.gather(*(questions.rows(one, (one,)) for one in statements), return_exceptions=True)


async def test_what_is_asked_at_once_goes_together() -> None:
    engine = Engine()
    found = await asked(Questions(engine.ask, lanes_max=2, max_batch=10), b"a", b"b", b"c")
    assert found == [[(b"a",)], [(b"b",)], [(b"c",)]]
    assert engine.journeys == [[b"a", b"b", b"c"]]


async def test_a_failure_is_the_answer_to_its_own_question() -> None:
    found = await asked(Questions(Engine().ask, lanes_max=1, max_batch=10), b"a", b"wrong", b"c")
    assert isinstance(found[1], ValueError)
    assert [found[0], found[2]] == [[(b"a",)], [(b"c",)]]


async def test_a_journey_that_fails_is_the_answer_to_all_on_it() -> None:
    async def away(_: list[Question]) -> list[Rows | Exception]:
        raise ConnectionError("away")

    found = await asked(Questions(away, lanes_max=1, max_batch=10), b"a", b"b")
    assert [str(one) for one in found] == ["away", "away"]


async def test_while_the_lanes_are_under_way_the_others_wait_and_then_go_together() -> None:
    engine = Engine()
    engine.may.clear()
    questions = Questions(engine.ask, lanes_max=2, max_batch=2)
    waiting = []
    for statement in (b"a", b"b", b"c", b"d", b"e"):
        waiting.append(asyncio.ensure_future(questions.rows(statement, (statement,))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert engine.journeys == [[b"a"], [b"b"]]
    engine.may.set()
    await asyncio.gather(*waiting)
    assert engine.journeys == [[b"a"], [b"b"], [b"c", b"d"], [b"e"]]


async def test_who_gives_up_does_not_spoil_the_journey_of_the_others() -> None:
    engine = Engine()
    engine.may.clear()
    questions = Questions(engine.ask, lanes_max=1, max_batch=10)
    one, other = (asyncio.ensure_future(questions.rows(name, (name,))) for name in (b"a", b"b"))
    await asyncio.sleep(0)
    one.cancel()
    engine.may.set()
    assert await other == [(b"b",)]
    with pytest.raises(asyncio.CancelledError):
        await one
    await questions.stop()
