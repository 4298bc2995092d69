"""What one has just done is in what one reads, also where another service shows it."""

from pathlib import Path
from typing import Any

from chassis.asgi import Api
from services.first_run import TENANT
from services.gateway.api.door import last_told
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import done, running_system, until

POSITION = "entente-position"


async def read(who: Api, path: str, position: str) -> Any:
    return await who.get(path, **{"entente-at-least": position})


async def there(who: Api, path: str, position: str) -> Any:
    """The answer, once what is read holds the position: until then it says to come again."""

    async def look() -> Any:
        answer = await read(who, path, position)
        return None if answer.json().get("slug") == "not-there-yet" else answer

    return await until(look)


async def test_a_deal_that_was_just_registered_has_its_card(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        north = await it.who("northwind")
        for number in range(10):
            answer = await north.post(DEALS, deal(f"Kunde {number}", f"kunde-{number}.de"), key=f"register-{number}")
            made = done(answer, 201)
            found = await there(north, f"/v1/deals/{made['registration_id']}", answer.headers[POSITION])
            assert (found.status, found.json()["number"]) == (200, made["number"])


async def test_what_is_private_is_not_waited_for(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        north, south, dora = [await it.who(name) for name in ("northwind", "southbridge", "dora")]
        mine = done(await north.post(DEALS, deal("Contoso GmbH", "contoso.de"), key="mine"), 201)["registration_id"]
        done(await south.post(DEALS, deal("Contoso GmbH", "contoso-handel.de"), key="other"), 201)
        await dora.post(f"{DEALS}/{mine}/approve", key="look")
        await it.settle()
        [finding] = done(await dora.get(f"{DEALS}/{mine}/conflicts"))["findings"]
        wish = {"account_id": finding["candidate"]["account_id"], "verdict": "different", "reason": "Another company."}
        decided = await dora.post(f"{DEALS}/{mine}/decide-finding", wish, key="decide")
        done(decided)
        assert (await there(dora, "/v1/deals", decided.headers[POSITION])).status == 200
        position = int(decided.headers[POSITION].partition("=")[2])
        app = it.services["gateway"].application
        assert 0 < await last_told(app, TENANT, "registration", position) < position
        assert (await read(dora, "/v1/deals", "registration=999999")).status == 503
