"""How much one caller may ask: token buckets in this process, by machine time. Beyond it: 429, and when to come back."""

from collections.abc import Callable
from math import ceil
from time import monotonic

from chassis.decider import Problem
from chassis.event import frozen
from chassis.identity import Principal, Recent

BUCKETS_MAX = 100_000


class TooMany(Problem):
    """More than you may ask at a time: slow down."""

    status = 429
    slug = "too-many-requests"


@frozen
class Rate:
    """What may come in: so much a second in the long run, `burst` at once."""

    per_second: float
    burst: int


class Bucket:
    """What each of many callers has left at one rate; of the least recent ones no account is kept."""

    def __init__(self, rate: Rate, now: Callable[[], float] = monotonic) -> None:
        self._rate, self._now = rate, now
        self._left: Recent[str, tuple[float, float]] = Recent(BUCKETS_MAX)

    def take(self, caller: str) -> None:
        """Takes one. Raises TooMany with the seconds until there is one again."""
        now = self._now()
        left, at = self._left.get(caller) or (float(self._rate.burst), now)
        left = min(self._rate.burst, left + (now - at) * self._rate.per_second)
        self._left.put(caller, (max(0.0, left - 1.0) if left >= 1.0 else left, now))
        if left < 1.0:
            raise TooMany(retry_after_seconds=ceil((1.0 - left) / self._rate.per_second))


class Window:
    """What each of many callers has done in the last while: so much and no more; of the least recent no account is kept."""

    def __init__(self, most: int, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._now = most, seconds, now
        self._done: Recent[str, tuple[float, ...]] = Recent(BUCKETS_MAX)

    def take(self, caller: str) -> None:
        """Counts one. Raises TooMany with the seconds until the oldest one counts no more."""
        now = self._now()
        done = tuple(at for at in self._done.get(caller) or () if now - at < self._seconds)
        if len(done) >= self._most:
            raise TooMany(retry_after_seconds=ceil(done[0] + self._seconds - now))
        self._done.put(caller, (*done, now))


@frozen
class Limits:
    """The limits of one instance: of a key's reads and writes, of a partner, of a tenant, of who is not signed in.

    `forms` are those that somebody without a sign-in sends from one address, `checks` a partner's questions whether a
    customer is free.
    """

    key_reads: Bucket
    key_writes: Bucket
    partner: Bucket
    tenant: Bucket
    stranger: Bucket
    forms: Window
    checks: Window

    def admit(self, who: Principal, *, reads: bool) -> None:
        """Counts one request of somebody known. Raises TooMany."""
        if who.person is not None:
            (self.key_reads if reads else self.key_writes).take(f"{who.tenant}|{who.subject}")
        if who.partner_id is not None:
            self.partner.take(f"{who.tenant}|{who.partner_id}")
        self.tenant.take(who.tenant)

    def admit_check(self, who: Principal) -> None:
        """Counts one question whether a customer is free; only partners' are counted. Raises TooMany."""
        if who.partner_id is not None:
            self.checks.take(f"{who.tenant}|{who.partner_id}")

    def admit_stranger(self, address: str) -> None:
        """Counts one attempt of somebody unknown: a token that opens nothing, an application. Raises TooMany."""
        self.stranger.take(address)

    def admit_form(self, address: str) -> None:
        """Counts one form that somebody unknown sends. Raises TooMany."""
        self.forms.take(address)
