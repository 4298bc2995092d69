"""A shadow run in several shares, all in this process."""

import asyncio
from itertools import combinations
from socket import socketpair
from typing import Any

from chassis.shadow import PAGE_EVENTS, Report
from chassis.shadow_share import Given, Link, Share, work
from chassis.shadow_spread import Merged
from tests.patience import PATIENCE_SECONDS


async def shared(count: int, given: Given, page: int = PAGE_EVENTS) -> Report:
    """What so many shares report, each a task of this process, none ever far ahead of another."""
    links: list[dict[int, Link]] = [{} for _ in range(count)]
    for one, two in combinations(range(count), 2):
        links[one][two], links[two][one] = [await Link.over(end) for end in socketpair()]
    parents = [[await Link.over(end) for end in socketpair()] for _ in range(count)]
    store, window = given[0], given[4]
    shares = [Share(number, links[number], *given, lead=2 * page) for number in range(count)]

    async def working(share: Share, parent: Link) -> None:
        async def tell(found: Any) -> None:
            parent.say(found)
            await parent.said()

        await work(share, store, window, tell, page=page)

    merged = Merged([ours for ours, _ in parents], window, lambda done, total: None)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            report = group.create_task(merged.report())
            for share, (_, parent) in zip(shares, parents, strict=True):
                group.create_task(working(share, parent))
        return report.result()
    finally:
        for share in shares:
            share.peers.close()
        for link in (*(link for ours in links for link in ours.values()), *(end for pair in parents for end in pair)):
            link.close()
