"""The first run on a machine that has much to do: it waits where it is told to."""

from typing import Any

from starlette.responses import Response

from services.first_run import BUSY_TRIES, Patient


class Busy:
    """An app that is busy so many times, and then answers; by whom it was asked."""

    def __init__(self, times: int, **headers: str) -> None:
        self.times, self.headers, self.tokens = times, headers, list[bytes]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.tokens.append(dict(scope["headers"]).get(b"authorization", b""))
        busy = len(self.tokens) <= self.times
        answer = Response(b"{}", 503, self.headers) if busy else Response(b"{}", 201)
        await answer(scope, receive, send)


async def test_what_is_busy_is_asked_again_as_whom_it_was_asked() -> None:
    app = Busy(3, **{"retry-after": "0"})
    answer = await Patient(app).signed_in("ada").post("/v1/tenants", {}, key="one")
    assert (answer.status, app.tokens) == (201, [b"Bearer ada"] * 4)


async def test_what_stays_busy_or_says_nothing_of_another_try_is_answered() -> None:
    always, never = Busy(10_000, **{"retry-after": "0"}), Busy(10_000)
    assert (await Patient(always).get("/v1/me")).status == 503
    assert (await Patient(never).get("/v1/me")).status == 503
    assert (len(always.tokens), len(never.tokens)) == (1 + BUSY_TRIES, 1)
