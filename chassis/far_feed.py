"""The feeds of services in other processes, read over HTTP: page by page, every tenant's events, for a read model.

A page that cannot be had raises; whoever reads tries again.
"""

from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from chassis.access import SERVICE
from chassis.event import SHARED
from chassis.identity import Principal, Signer
from chassis.inspection import FEED_LIMIT_MAX, NEXT, WHOLE_FEED_PATH
from chassis.projecting import Feed, FeedPage
from chassis.transport.lines import message_in
from chassis.transport.port import read

PAGE_SECONDS = 30.0
CONNECTIONS_MAX = 16


class FeedNotRead(Exception):
    """A service answers, and not with a page of its feed: it is of an older release, or does not trust our keys."""


class FarFeeds:
    """Feeds at `urls`, by service, that `reader` reads. All share one pool of kept connections."""

    def __init__(self, reader: str, urls: Mapping[str, str], signer: Signer) -> None:
        self._who = Principal(tenant=SHARED, subject=reader, kind=SERVICE)
        self._urls = {name: url.rstrip("/") for name, url in urls.items()}
        self._signer = signer
        self._session: aiohttp.ClientSession | None = None

    def of(self, service: str) -> Feed:
        """The feed of one of them."""

        async def feed(after: int, limit: int) -> FeedPage:
            lines, reached = await self._page(service, after, min(limit, FEED_LIMIT_MAX))
            found = [read(message_in(line, service)) for line in lines]
            return FeedPage([fact for fact in found if fact is not None], reached)

        return feed

    async def _page(self, service: str, after: int, limit: int) -> tuple[list[bytes], int]:
        url = self._urls[service] + WHOLE_FEED_PATH
        signed = {"Authorization": f"Bearer {self._signer.sign(self._who, service)}"}
        asked = self._client().get(url, params={"after": after, "limit": limit}, headers=signed, allow_redirects=False)
        async with asked as answer:
            if answer.status != HTTPStatus.OK or NEXT not in answer.headers:
                raise FeedNotRead(f"{url} answers {answer.status}")
            return (await answer.read()).splitlines(), int(answer.headers[NEXT])

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                timeout=aiohttp.ClientTimeout(total=PAGE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
