"""What the log says is forgotten stays forgotten: whatever stopped between, and whatever keys a backup brought back.

How far the log was followed stands beside the keys, so an older copy of the keys brings its own, older place with it,
and what was forgotten since is forgotten again before anybody is served.
"""

from collections.abc import Callable, Mapping
from typing import Any

from chassis.keys import Keys
from chassis.store.port import EventStore

Forgets = Mapping[type[Any], Callable[[Any], str]]
"""The subject whose key an event destroys, by the event's class."""
PAGE_EVENTS = 1_000
SAVE_EVERY_EVENTS = 10_000
POLL_SECONDS = 1.0


class Forgetting:
    """Follows one service's log and destroys the keys that it tells of. Twice is the same as once."""

    def __init__(self, store: EventStore, keys: Keys, forgets: Forgets) -> None:
        self._store, self._keys = store, keys
        self._subjects = {cls.type: subject for cls, subject in forgets.items()}
        self._position = self._saved = 0

    async def catch_up(self) -> int:
        """Forgets all that is to be forgotten by now, and answers how many events said so."""
        if not self._subjects:
            return 0
        saved = self._keys.followed()
        # A log that was restored from a backup may end before the place where the keys are: it is read from its beginning.
        self._position = self._saved = saved if saved <= await self._store.head() else 0
        forgotten = 0
        while page := await self._store.feed(self._position, PAGE_EVENTS):
            forgotten += self._forget(page)
        return forgotten

    async def run(self) -> None:
        """Goes on forgetting until it is cancelled."""
        await self.catch_up()
        while True:
            await self._store.wait_beyond(self._position, POLL_SECONDS)
            self._forget(await self._store.feed(self._position, PAGE_EVENTS))

    def _forget(self, page: Any) -> int:
        found = [one for one in page if one.type in self._subjects]
        for one in found:
            # By its command, as whoever forgot at once said too: a key that was made since is of another generation.
            self._keys.forget(one.tenant, self._subjects[one.type](one.event), one.command_id or one.id)
        if page:
            self._position = page[-1].position
        if found or self._position - self._saved >= SAVE_EVERY_EVENTS:
            self._keys.follow(self._position)
            self._saved = self._position
        return len(found)
