"""The process that works on one share of a shadow run: begun for it by the service, gone with its answer or its asker."""

import asyncio
import gc
import socket
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from importlib import import_module

from chassis.afresh import FULL
from chassis.service import Blueprint, event_store, eyes_of, handles_of
from chassis.shadow_share import Found, Link, Share, Task, Telling, work


async def attend(number: int, parent_end: int, ends: Mapping[int, int]) -> None:
    """Does the share that the parent orders, and answers the other shares until the parent hangs up."""
    parent = await Link.over(socket.socket(fileno=parent_end))
    task: Task = await parent.hear()
    blueprint: Blueprint = import_module(task.declared_in).BLUEPRINT
    store = event_store(task.settings, blueprint.name)
    async with AsyncExitStack() as closing:
        await store.open()
        closing.push_async_callback(store.close)
        links = {other: await Link.over(socket.socket(fileno=end)) for other, end in ends.items()}
        given = store, handles_of(blueprint), eyes_of(blueprint), task.candidate, task.window
        others: Collection[asyncio.Future[None]] = ()
        share: Telling
        if task.mode == FULL:
            share = Telling(*given, blueprint.afresh[task.candidate.kind])
        else:
            share = parted = Share(number, links, *given)
            closing.callback(parted.peers.close)
            others = parted.peers.hearing
        gc.disable()  # a run makes no cycles, and looking for them among all that it holds took up to a tenth of its time

        async def tell(found: Found) -> None:
            parent.say(found)
            await parent.said()

        working = asyncio.ensure_future(work(share, store, task.window, tell))
        hung_up = asyncio.ensure_future(parent.gone())
        await asyncio.wait({working, hung_up, *others}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await asyncio.wait({hung_up})


def main(number: int, parent_end: int, ends: Mapping[int, int]) -> None:
    """Runs until the share is done and the parent has hung up. Ends are those of pairs of sockets, by share."""
    asyncio.run(attend(number, parent_end, ends))
