import asyncio
import signal

from structlog.testing import capture_logs

from chassis.supervision import Backoff, Final, Tasks

QUICK = Backoff(first_seconds=0.001, most_seconds=0.004)


async def until(done: asyncio.Event) -> None:
    await asyncio.wait_for(done.wait(), 30)


async def test_a_task_that_ends_in_any_way_is_started_again_and_counted() -> None:
    ends, running = [ValueError("a bug"), asyncio.CancelledError(), None], asyncio.Event()

    async def run() -> None:
        if ends:
            if error := ends.pop():
                raise error
            return
        running.set()
        await asyncio.Event().wait()

    tasks = Tasks(QUICK)
    tasks.start("work", run)
    await until(running)
    assert tasks.failures == {"work": 3}
    await tasks.stop()


async def test_what_beginning_again_makes_no_better_ends_the_process_and_says_why() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def run() -> None:
        raise Final("bring the log back")

    tasks = Tasks(QUICK)
    with capture_logs() as logs:
        tasks.start("work", run)
        await until(ended)
    assert [(line["event"], line["told"]) for line in logs] == [("task_cannot_go_on", "bring the log back")]
    assert tasks.failures == {"work": 1}
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    await tasks.stop()


async def test_a_stop_lets_a_task_finish_what_is_in_its_hands() -> None:
    tasks, begun, done = Tasks(QUICK), asyncio.Event(), asyncio.Event()

    async def run() -> None:
        begun.set()
        await tasks.stopping.wait()
        await asyncio.sleep(0.01)
        done.set()

    tasks.start("work", run, finishes=True)
    await until(begun)
    await tasks.stop()
    assert done.is_set()


async def test_a_stop_is_bounded_even_for_a_task_that_hangs() -> None:
    tasks, begun = Tasks(QUICK), asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    tasks.start("work", run, finishes=True)
    await until(begun)
    await asyncio.wait_for(tasks.stop(0.01), 30)
    assert tasks.failures == {}


def test_pauses_double_up_to_the_most_and_are_never_longer() -> None:
    backoff = Backoff(first_seconds=1.0, most_seconds=4.0)
    for failures, full in ((1, 1.0), (2, 2.0), (3, 4.0), (50, 4.0)):
        assert full / 2 <= backoff.pause_seconds(failures) <= full
