"""One door tells an admin everything that is known of one person, and the portal's page forgets the person everywhere."""

from pathlib import Path
from typing import Any

from chassis.asgi import Api
from services.gateway.api.people import told
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_forgetting import KEYS, LEADS, MAIL, NAME, known, names_somebody
from tests.scenarios.test_money_pages import portal_of, sent

PATH = "/v1/people/everything"
EVERY_RIGHT = {"handle": "amir", "name": "Amir All", "mail": "amir@acme.example", "roles": ["admin", "finance"]}


async def asked(who: Api, mail: str) -> Any:
    return done(await who.post(PATH, {"mail": mail}, key=f"ask-{next(KEYS)}"))


def states(found: Any) -> dict[str, str]:
    return {f"{part['service']} {part['about']}": part["state"] for part in found["parts"]}


async def test_everything_about_one_person_is_told_by_one_door_and_forgotten_by_one_page(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        ada = await it.who("ada")
        done(await ada.post("/v1/staff", EVERY_RIGHT, key="amir"), 201)
        person_id, lead_id = await known(it)
        await it.settle()
        found = await asked(ada, MAIL.upper())
        assert (found["person_id"], found["complete"]) == (person_id, False)
        assert states(found) == {
            "onboarding person": "found",
            "incentives bank_and_tax": "not_yours",
            "incentives lines": "nothing",
            "incentives statements": "nothing",
            "registration deals_and_leads": "found",
            "gateway staff": "nothing",
            "gateway sessions": "found",
        }
        answers = {part["about"]: part["answer"] for part in found["parts"]}
        assert answers["person"]["person"]["name"] == NAME
        assert [lead["lead_id"] for lead in answers["deals_and_leads"]["leads"]] == [lead_id]
        all_of_it = await asked(await it.who("amir"), MAIL)
        assert (all_of_it["complete"], states(all_of_it)["incentives bank_and_tax"]) == (True, "found")
        await staff_and_strangers(it)
        await forgotten_by_the_page(it)
        assert not names_somebody(str(await asked(ada, MAIL)).encode())
        assert not names_somebody((await (await it.who("dora")).get(LEADS)).body)


async def staff_and_strangers(it: System) -> None:
    """Staff are known to the gateway; of who is known nowhere there is nothing, which is an answer; others may not ask."""
    ada = await it.who("ada")
    of_dora = await asked(ada, "dora@acme.example")
    [staff] = [part for part in of_dora["parts"] if part["about"] == "staff"]
    assert [one["name"] for one in staff["answer"]] == ["Dora Desk"]
    of_nobody = await asked(ada, "nobody@nowhere.example")
    assert (of_nobody["person_id"], of_nobody["complete"], set(states(of_nobody).values())) == (None, True, {"nothing"})
    for name in ("dora", "finn", "northwind"):
        assert (await (await it.who(name)).post(PATH, {"mail": MAIL}, key="mine")).status == 403
    assert (await ada.post(PATH, {"mail": "no address"}, key="wrong")).status == 422


async def forgotten_by_the_page(it: System) -> None:
    async with portal_of(it, await it.who("ada")) as admin, portal_of(it, await it.who("dora")) as desk:
        assert (await desk.get("/people")).status_code == 403
        page = await sent(admin, "/people", "/people", mail=MAIL)
        assert NAME in page.text
        assert "finance has to add this" in page.text
        assert "Forget for good" in page.text
        token = {"token": value_of(page.text, "token"), "key": value_of(page.text, "key"), "mail": MAIL}
        file = await admin.post("/people/file", data=token)
        assert "attachment" in file.headers["content-disposition"]
        assert file.json()["parts"][0]["answer"]["person"]["name"] == NAME
        await not_forgotten_while_a_service_is_away(it, admin, token)
        gone = await admin.post("/people/forget", data=token)
        assert "The person is forgotten" in gone.text
        await it.settle()
        after = await sent(admin, "/people", "/people", mail=MAIL)
        assert not names_somebody(after.text.replace(MAIL, "").encode())
        assert ("<strong>Forgotten.</strong>" in after.text, "Forget for good" in after.text) == (True, False)
        of_staff = await sent(admin, "/people", "/people", mail="dora@acme.example")
        assert "Dora Desk" in of_staff.text
        assert ("<strong>Forgotten.</strong>" in of_staff.text, "Forget for good" in of_staff.text) == (False, False)


async def not_forgotten_while_a_service_is_away(it: System, admin: Any, token: dict[str, str]) -> None:
    neighbours = it.services["gateway"].world.neighbours
    onboarding = neighbours.pop("onboarding")
    refused = await admin.post("/people/forget", data=token)
    neighbours["onboarding"] = onboarding
    assert refused.status_code == 503
    assert "The person is forgotten" not in refused.text
    assert "the service does not answer now" in refused.text


def test_an_answer_that_holds_not_all_rows_says_so() -> None:
    assert told("incentives", "lines", [{"line_id": "l1"}], whole=False)["state"] == "cut_off"
    assert told("incentives", "lines", [{"line_id": "l1"}])["state"] == "found"


def value_of(page: str, name: str) -> str:
    """What a form of the page holds in a hidden field."""
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]
