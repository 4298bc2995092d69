"""Questions that are asked at once travel together, and each has its own answer."""

import asyncio

import pytest

from chassis.decider import Busy
from chassis.read_store.questions import Question, Questions, Rows


class Engine:
    """Answers with the values that were asked with, once it may; remembers what came on one journey, and what alone."""

    def __init__(self) -> None:
        self.journeys: list[list[bytes]] = []
        self.alone: list[bytes] = []
        self.may, self.unlocked = asyncio.Event(), asyncio.Event()
        self.may.set()

    def questions(self, lanes_max: int = 2, max_batch: int = 10, queue_max: int = 100) -> Questions:
        return Questions(self.together, self.by_itself, lanes_max=lanes_max, max_batch=max_batch, queue_max=queue_max)

    async def together(self, questions: list[Question]) -> list[Rows]:
        self.journeys.append([statement for statement, _ in questions])
        await self.may.wait()
        if {statement for statement, _ in questions} & {b"wrong", b"locked"}:
            raise ConnectionError("away")
        return [[tuple(values)] for _, values in questions]

    async def by_itself(self, question: Question) -> Rows:
        self.alone.append(question[0])
        if question[0] == b"wrong":
            raise ValueError("no")
        if question[0] == b"locked":
            await self.unlocked.wait()
        return [tuple(question[1])]


async def asked(questions: Questions, *statements: bytes) -> list[Rows | BaseException]:
    return await asyncio.gather(*(questions.rows(one, (one,)) for one in statements), return_exceptions=True)


async def test_what_is_asked_at_once_goes_together() -> None:
    engine = Engine()
    found = await asked(engine.questions(), b"a", b"b", b"c")
    assert found == [[(b"a",)], [(b"b",)], [(b"c",)]]
    assert engine.journeys == [[b"a", b"b", b"c"]]


async def test_a_failure_is_the_answer_to_its_own_question() -> None:
    found = await asked(Engine().questions(), b"a", b"wrong", b"c")
    assert isinstance(found[1], ValueError)
    assert [found[0], found[2]] == [[(b"a",)], [(b"c",)]]


async def test_what_waits_for_a_lock_holds_up_no_other_once_the_journey_with_it_has_failed() -> None:
    engine = Engine()
    questions = engine.questions(lanes_max=1)
    locked = asyncio.ensure_future(questions.rows(b"locked", (b"locked",)))
    assert await asked(questions, b"a") == [[(b"a",)]]
    assert await asked(questions, b"b") == [[(b"b",)]]
    assert (engine.alone, engine.journeys, locked.done()) == ([b"locked", b"a"], [[b"locked", b"a"], [b"b"]], False)
    engine.unlocked.set()
    assert await locked == [(b"locked",)]


async def test_whoever_asks_as_both_lanes_come_back_is_answered() -> None:
    engine = Engine()
    engine.may.clear()
    questions = engine.questions(max_batch=1)

    async def ask_again(statement: bytes) -> Rows:
        await questions.rows(statement, (statement,))
        return await questions.rows(statement, (statement,))

    both = []
    for statement in (b"a", b"b"):
        both.append(asyncio.ensure_future(ask_again(statement)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert engine.journeys == [[b"a"], [b"b"]]
    engine.may.set()
    assert await asyncio.gather(*both) == [[(b"a",)], [(b"b",)]]


async def test_beyond_what_may_wait_whoever_asks_is_told_to_come_again() -> None:
    engine = Engine()
    engine.may.clear()
    questions = engine.questions(lanes_max=1, max_batch=1, queue_max=2)
    waiting = []
    for statement in (b"a", b"b", b"c"):
        waiting.append(asyncio.ensure_future(questions.rows(statement, (statement,))))
        await asyncio.sleep(0)
    with pytest.raises(Busy):
        await questions.rows(b"d", ())
    engine.may.set()
    assert await asyncio.gather(*waiting) == [[(b"a",)], [(b"b",)], [(b"c",)]]


async def test_who_waits_is_let_go_when_the_store_is_closed() -> None:
    engine = Engine()
    questions = engine.questions()
    locked = asyncio.ensure_future(questions.rows(b"locked", ()))
    for _ in range(5):
        await asyncio.sleep(0)
    [task] = questions._by_themselves
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await locked


async def test_while_the_lanes_are_under_way_the_others_wait_and_then_go_together() -> None:
    engine = Engine()
    engine.may.clear()
    questions = engine.questions(max_batch=2)
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
    questions = engine.questions(lanes_max=1)
    one, other = (asyncio.ensure_future(questions.rows(name, (name,))) for name in (b"a", b"b"))
    await asyncio.sleep(0)
    one.cancel()
    engine.may.set()
    assert await other == [(b"b",)]
    with pytest.raises(asyncio.CancelledError):
        await one
    await questions.stop()
