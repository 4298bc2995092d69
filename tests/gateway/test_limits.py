"""How much a caller may ask: token buckets, and what the door answers beyond them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chassis.identity import Principal
from chassis.process import listening
from chassis.settings import ServiceSettings
from services.gateway.adapters.limits import Bucket, Limits, Rate, TooMany, Window
from services.gateway.app import Settings
from tests.scenarios.browser import browser
from tests.scenarios.system import done, running_system

KEY = Principal(tenant="acme", subject="client:c-1", kind="partner", partner_id="p-1", person="x-1")
PERSON = Principal(tenant="acme", subject="x-1", kind="partner", partner_id="p-1")


@dataclass
class Seconds:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_its_burst_and_fills_again() -> None:
    clock = Seconds()
    bucket = Bucket(Rate(per_second=2.0, burst=3), clock)
    for _ in range(3):
        bucket.take("a")
    with pytest.raises(TooMany) as refused:
        bucket.take("a")
    assert refused.value.fields == {"retry_after_seconds": 1}
    bucket.take("b")
    clock.now = 0.5
    bucket.take("a")
    with pytest.raises(TooMany):
        bucket.take("a")
    clock.now = 1_000.0
    for _ in range(3):
        bucket.take("a")
    with pytest.raises(TooMany):
        bucket.take("a")


def test_ten_forms_an_hour_and_no_more_whenever_they_come() -> None:
    clock = Seconds()
    window = Window(10, 3_600.0, clock)
    for _ in range(10):
        window.take("a")
        clock.now += 60
    clock.now += 3_600 - 601  # the first is a second short of an hour old
    with pytest.raises(TooMany) as refused:
        window.take("a")
    assert refused.value.fields == {"retry_after_seconds": 1}
    window.take("b")
    clock.now += 1
    window.take("a")
    with pytest.raises(TooMany):
        window.take("a")


def test_a_slow_bucket_says_how_long_to_wait() -> None:
    bucket = Bucket(Rate(per_second=20 / 60, burst=1), Seconds())
    bucket.take("a")
    with pytest.raises(TooMany) as refused:
        bucket.take("a")
    assert refused.value.fields == {"retry_after_seconds": 3}


def limits(**bursts: int) -> Limits:
    names = ("key_reads", "key_writes", "partner", "tenant", "stranger")
    clock = Seconds()
    buckets = {name: Bucket(Rate(per_second=1.0, burst=bursts.get(name, 100)), clock) for name in names}
    windows = {name: Window(bursts.get(name, 100), 3_600.0, clock) for name in ("forms", "checks")}
    return Limits(**buckets, **windows)


@pytest.mark.parametrize(
    ("of", "who", "reads", "other"),
    [
        ("key_reads", KEY, True, (KEY, False)),
        ("key_writes", KEY, False, (KEY, True)),
        ("partner", PERSON, True, (Principal(tenant="acme", subject="y", kind="partner", partner_id="p-2"), True)),
        ("tenant", PERSON, True, (Principal(tenant="beta", subject="x", kind="vendor"), True)),
    ],
)
def test_each_limit_counts_its_own(of: str, who: Principal, reads: bool, other: tuple[Principal, bool]) -> None:
    limited = limits(**{of: 2})
    for _ in range(2):
        limited.admit(who, reads=reads)
    with pytest.raises(TooMany):
        limited.admit(who, reads=reads)
    limited.admit(other[0], reads=other[1])


def test_a_person_s_session_is_not_counted_as_a_program() -> None:
    limited = limits(key_reads=1, key_writes=1)
    for _ in range(5):
        limited.admit(PERSON, reads=True)
        limited.admit(PERSON, reads=False)


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"environment": "production"}, True),
        ({"environment": "development"}, False),
        ({"environment": "development", "limited": True}, True),
        ({"environment": "production", "limited": False}, False),
    ],
)
def test_outside_development_everybody_is_limited_unless_the_settings_say_otherwise(
    given: dict[str, Any], there: bool
) -> None:
    assert (Settings(**given).limits() is not None) is there


async def test_beyond_its_limit_a_caller_is_told_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"KEY_READS_PER_SECOND": "0.01", "STRANGER_PER_MINUTE": "0.6"}
    for name, value in {"LIMITED": "true", "KEY_READS_BURST": "3", "STRANGER_BURST": "2", **slow}.items():
        monkeypatch.setenv(f"ENTENTE_{name}", value)
    async with running_system(tmp_path) as it:
        north = await it.who("northwind")
        body = {"name": "Busy", "scopes": ["registration:read"]}
        program = it.front.signed_in(done(await north.post("/v1/clients", body, key="busy"), 201)["key"])
        answers = [await program.get("/v1/registration/deals") for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["slug"] == "too-many-requests"
        assert 60 <= int(answers[-1].headers["retry-after"]) <= 100  # the longer the five took, the sooner again
        assert (await north.get("/v1/registration/deals")).status == 200
        async with browser(it.front._app) as guesser:
            guesses = [await guesser.get("/v1/me", headers={"authorization": f"Bearer ses_{n}"}) for n in range(4)]
            assert [guess.status_code for guess in guesses] == [401, 401, 429, 429]
            assert 60 <= int(guesses[-1].headers["retry-after"]) <= 100
            good = await guesser.get("/v1/me", headers={"authorization": f"Bearer {north._token}"})
            assert good.status_code == 200


async def test_a_partner_asks_so_often_an_hour_whether_a_customer_is_free_whoever_of_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LIMITED": "true", "CHECKS_PER_HOUR": "2"}.items():
        monkeypatch.setenv(f"ENTENTE_{name}", value)
    question = {
        "customer": {"name": "Contoso GmbH", "country": "DE", "website": "www.contoso.de"},
        "products": [{"family": "platform"}],
        "amount": {"amount": "40000.00", "currency": "EUR"},
    }
    async with running_system(tmp_path) as it:
        north, dora = await it.who("northwind"), await it.who("dora")
        asked = [
            await north.post("/v1/registration/checks", question, key="first"),
            await north.post("/v1/registration/deals/preview", question, key="second"),
            await north.post("/v1/registration/checks", question, key="third"),
        ]
        own = {**question, "partner_id": done(await north.get("/v1/me"))["partner_id"]}
        by_the_desk = [await dora.post("/v1/registration/deals/preview", own, key=f"d{n}") for n in range(3)]
    assert [answer.status for answer in asked] == [200, 200, 429]
    assert (asked[-1].json()["slug"], asked[-1].headers["retry-after"] > "3500") == ("too-many-requests", True)
    assert [answer.status for answer in by_the_desk] == [200, 200, 200]


SEVERAL = [f"203.0.113.9, 198.51.100.{number}, 192.0.2.7" for number in range(4)]
ONE = [f"203.0.113.{number}, 198.51.100.1" for number in range(4)]


@pytest.mark.parametrize(
    ("trusted", "said", "answers"),
    [
        pytest.param((), SEVERAL, [401, 401, 429, 429], id="nobody is believed whom nobody named"),
        pytest.param(("192.0.2.0/24",), SEVERAL, [401, 401, 429, 429], id="nor another one than the proxy"),
        pytest.param(
            ("127.0.0.1", "192.0.2.0/24"), SEVERAL, [401, 401, 401, 401], id="through proxies they are told apart"
        ),
        pytest.param(("127.0.0.1",), ONE, [401, 401, 429, 429], id="one stays one, whatever it writes in front"),
    ],
)
async def test_a_stranger_is_who_a_named_proxy_says_it_is(
    trusted: tuple[str, ...], said: list[str], answers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LIMITED": "true", "STRANGER_BURST": "2", "STRANGER_PER_MINUTE": "0.6"}.items():
        monkeypatch.setenv(f"ENTENTE_{name}", value)
    settings = ServiceSettings.read(data=tmp_path, port=0, trusted_proxies=trusted)
    async with (
        running_system(tmp_path) as it,
        listening(it.front._app, settings, it.world) as (address, _),
        aiohttp.ClientSession() as client,
    ):
        found = []
        for number, path in enumerate(said):
            headers = {"authorization": f"Bearer ses_{number}", "x-forwarded-for": path}
            async with client.get(f"{address}/v1/me", headers=headers) as answer:
                found.append(answer.status)
        assert found == answers
