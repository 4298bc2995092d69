"""Onboarding at work: who takes partners in, who speaks for whom, and whose people are whose to know and to forget."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chassis.asgi import Answer, Api
from chassis.clock import FixedClock
from chassis.event import Sealed
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.service import Service
from services.onboarding.app import Settings, build
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.held import Held
from tests.scenarios.patient import Patient
from tests.scenarios.system import done, until

START = datetime(2026, 3, 3, 10, tzinfo=UTC)
PROFILE = {"legal_name": "Northwind", "country": "DE", "domains": ["northwind.example"], "types": ["reseller"]}
ADMIN = Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))
ERIKA = {"name": "Erika", "mail": "erika@northwind.example"}


def owner(partner_id: str, subject: str = "owner") -> Principal:
    return Principal(tenant="acme", subject=subject, kind="partner", partner_id=partner_id, roles=("owner",))


def absorbed(partner_id: str, into: str) -> Principal:
    """An owner of a partner that is one with another: it acts as that one."""
    who = replace(owner(into, f"owner-of-{partner_id}"), absorbed=(partner_id,))
    return replace(who, home_id=partner_id)


@dataclass
class Office:
    """The service alone, and everybody who asks it."""

    service: Service
    clock: FixedClock
    _keys: Any = field(default_factory=lambda: count(1))

    def api(self, who: Principal) -> Api:
        return Patient(Held(self.service.api), self.service.world.signer.sign(who, "onboarding"))

    async def post(self, who: Principal, path: str, body: Any = None) -> Answer:
        answer = await self.api(who).post(path, body, key=f"k{next(self._keys)}")
        await self.settle()
        return answer

    async def get(self, who: Principal, path: str) -> Answer:
        return await self.api(who).get(path)

    async def settle(self) -> None:
        assert await self.service.runner.reached("", "onboarding", await self.service.store.head(), PATIENCE_SECONDS)

    async def partner(self, name: str) -> str:
        """A new active partner's id."""
        body = {**PROFILE, "legal_name": name, "domains": [f"{name.lower()}.example"]}
        partner_id: str = done(await self.post(ADMIN, "/partners", body), 201)["partner_id"]
        done(await self.post(ADMIN, f"/partners/{partner_id}/approve", {}))
        return partner_id

    async def known(self, who: Principal, person: dict[str, str]) -> Answer:
        return await self.post(who, "/people", person)

    async def invited(self, who: Principal, person_id: str, partner_id: str, *roles: str) -> str:
        body = {"person_id": person_id, "partner_id": partner_id, "roles": list(roles or ("owner",))}
        membership_id: str = done(await self.post(who, "/memberships", body), 201)["membership_id"]
        return membership_id

    async def joined(self, partner_id: str, person: dict[str, str]) -> tuple[str, str]:
        person_id = done(await self.known(ADMIN, person), 201)["person_id"]
        membership_id = await self.invited(ADMIN, person_id, partner_id)
        done(await self.post(ADMIN, f"/memberships/{membership_id}/join"))
        return person_id, membership_id


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Office]:
    settings = Settings(data=data)
    clock = FixedClock(START)
    world = make_world(settings, clock=clock)
    service = build(settings, world)
    async with running([service], world):
        yield Office(service, clock)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as it:
        yield it


async def test_a_partner_comes_in_is_suspended_and_comes_back_by_the_clock(office: Office) -> None:
    partner_id = await office.partner("Northwind")
    until_at = (START + timedelta(days=1)).isoformat()
    body = {"scopes": ["access"], "reason_code": "audit", "until": until_at}
    assert done(await office.post(ADMIN, f"/partners/{partner_id}/suspend", body))["status"] == "suspended"
    office.clock.forward(timedelta(days=2))

    async def active() -> bool:
        return bool(done(await office.get(ADMIN, f"/partners/{partner_id}"))["status"] == "active")

    await until(active)


async def test_a_partner_reads_itself_without_what_screening_found(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    seen = done(await office.get(owner(mine), f"/partners/{mine}"))
    assert "screening" not in seen
    assert "screening" in done(await office.get(ADMIN, f"/partners/{mine}"))
    listed = done(await office.get(owner(mine), "/partners"))["items"]
    assert [item["partner_id"] for item in listed] == [mine]
    assert (await office.get(owner(mine), f"/partners/{theirs}")).status == 404


async def test_nobody_says_yes_for_somebody_else(office: Office) -> None:
    """An owner who knows an address cannot pull its person in: the person joins, or the vendor lets it in."""
    mine = await office.partner("Northwind")
    person_id = done(await office.known(owner(mine), ERIKA), 201)["person_id"]
    membership_id = await office.invited(owner(mine), person_id, mine)
    path = f"/memberships/{membership_id}/join"
    absent = await office.post(owner(mine), "/memberships/absent/join")
    refused = await office.post(owner(mine), path)
    assert (refused.status, refused.body) == (404, absent.body)
    elsewhere = owner(await office.partner("Southbridge"), subject=person_id)
    assert done(await office.post(elsewhere, path))["status"] == "active"


async def test_an_invitation_opens_neither_a_name_nor_the_way_to_erase_it(office: Office) -> None:
    """Registering a rival's address gives its person's id; inviting it must give no more."""
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    person_id, _ = await office.joined(theirs, {"name": "Sven Secret", "mail": "sven@southbridge.example"})
    found = done(await office.known(owner(mine), {"name": "x", "mail": "sven@southbridge.example"}), 201)
    assert found["person_id"] == person_id
    await office.invited(owner(mine), person_id, mine)
    for answer in (
        await office.get(owner(mine), f"/people/{person_id}"),
        await office.post(owner(mine), f"/people/{person_id}/erase"),
    ):
        assert (answer.status, answer.json()["slug"]) == (404, "not-found")
    people = await office.get(owner(mine), f"/partners/{mine}/people")
    assert b"Secret" not in people.body
    assert [item["name"] for item in done(people)["items"]] == [None]
    assert done(await office.get(owner(theirs), f"/people/{person_id}"))["name"] == "Sven Secret"


async def names(office: Office, who: Principal, *person_ids: str) -> dict[str, str]:
    query = "&".join(f"person_id={one}" for one in person_ids)
    items = done(await office.get(who, f"/payee-names?{query}"))["items"]
    assert all(item.keys() == {"person_id", "name"} for item in items), "nothing but the name"
    return {item["person_id"]: item["name"] for item in items}


async def test_who_pays_people_reads_what_they_are_called_and_a_partner_its_own_alone(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    erika, _ = await office.joined(mine, ERIKA)
    sven, _ = await office.joined(theirs, {"name": "Sven", "mail": "sven@southbridge.example"})
    invited = done(await office.known(ADMIN, {"name": "Ida", "mail": "ida@northwind.example"}), 201)["person_id"]
    await office.invited(ADMIN, invited, mine)
    all_of_them = (erika, sven, invited, "nobody")
    finance = replace(ADMIN, subject="fin", roles=("finance",))
    assert await names(office, finance, *all_of_them) == {erika: "Erika", sven: "Sven"}
    for role in ("owner", "finance"):
        assert await names(office, replace(owner(mine), roles=(role,)), *all_of_them) == {erika: "Erika"}
    for who in (replace(owner(mine), roles=("seller",)), replace(ADMIN, roles=("analyst",))):
        assert (await office.get(who, f"/payee-names?person_id={erika}")).status == 403
    done(await office.post(owner(mine), f"/people/{erika}/erase"))
    assert await names(office, finance, erika) == {}


async def test_a_person_of_two_partners_is_neither_s_to_erase(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    person_id, _ = await office.joined(mine, ERIKA)
    await office.joined(theirs, ERIKA)
    for partner_id in (mine, theirs):
        refused = await office.post(owner(partner_id), f"/people/{person_id}/erase")
        assert (refused.status, refused.json()["slug"]) == (403, "acts-elsewhere")
    assert done(await office.post(ADMIN, f"/people/{person_id}/erase"))["status"] == "erased"
    assert done(await office.get(ADMIN, f"/people/{person_id}"))["name"] is None


async def test_a_person_of_one_s_own_is_erased_and_nothing_stored_reads_its_name_again(office: Office) -> None:
    mine = await office.partner("Northwind")
    person_id, _ = await office.joined(mine, {"name": "Erika Vanishing", "mail": "erika@northwind.example"})
    assert done(await office.get(owner(mine), f"/people/{person_id}"))["name"] == "Erika Vanishing"
    done(await office.post(owner(mine), f"/people/{person_id}/erase"))
    assert done(await office.get(owner(mine), f"/people/{person_id}"))["name"] is None
    for file in office.service.directory.glob("*.db*"):
        assert b"Vanishing" not in file.read_bytes()


async def test_an_address_that_is_known_and_one_that_is_new_are_answered_alike(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    await office.joined(theirs, {"name": "Sven", "mail": "sven@southbridge.example"})
    known, new = [
        await office.known(owner(mine), {"name": "x", "mail": mail})
        for mail in ("sven@southbridge.example", "n@n.example")
    ]
    assert (known.status, known.headers) == (new.status, new.headers)
    assert {**known.json(), "person_id": ""} == {**new.json(), "person_id": ""}


@pytest.mark.parametrize("verb", ["withdraw", "change-profile"])
async def test_an_owner_acts_for_its_own_partner_alone(office: Office, verb: str) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    body = PROFILE if verb == "change-profile" else None
    found, never = [await office.post(owner(mine), f"/partners/{one}/{verb}", body) for one in (theirs, "absent")]
    assert (found.status, found.body) == (404, never.body)


async def test_an_owner_invites_into_its_own_partner_alone(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    person_id = done(await office.known(owner(mine), ERIKA), 201)["person_id"]
    body = {"person_id": person_id, "roles": ["owner"]}
    found, never = [
        await office.post(owner(mine), "/memberships", {**body, "partner_id": one}) for one in (theirs, "x")
    ]
    assert (found.status, found.body) == (404, never.body)
    _, their_membership = await office.joined(theirs, {"name": "S", "mail": "s@southbridge.example"})
    found, never = [await office.post(owner(mine), f"/memberships/{one}/end") for one in (their_membership, "absent")]
    assert (found.status, found.body) == (404, never.body)


async def test_who_is_one_with_a_partner_changes_neither_its_people_nor_the_partner_itself(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    person_id, _ = await office.joined(mine, ERIKA)
    sven, membership_id = await office.joined(theirs, {"name": "Sven", "mail": "sven@southbridge.example"})
    who = absorbed(mine, into=theirs)
    leave = {"reason_code": "strategy", "last_business_day": "2026-04-01"}
    asked: list[tuple[str, Any]] = [
        ("/memberships", {"person_id": person_id, "partner_id": theirs, "roles": ["owner"]}),
        (f"/memberships/{membership_id}/end", None),
        (f"/partners/{theirs}/change-profile", PROFILE),
        (f"/partners/{theirs}/offboard", leave),
        (f"/partners/{theirs}/stay", None),
    ]
    for path, body in asked:
        refused = await office.post(who, path, body)
        assert (refused.status, refused.json()["slug"]) == (403, "of-the-other-partner"), path
    refused = await office.post(who, f"/people/{sven}/erase")
    assert (refused.status, refused.json()["slug"]) == (403, "acts-elsewhere")
    people = done(await office.get(who, f"/partners/{theirs}/people"))["items"]
    assert [(one["person_id"], one["status"]) for one in people] == [(sven, "active")]


async def test_who_is_one_with_a_partner_keeps_its_own_people(office: Office) -> None:
    mine, theirs = await office.partner("Northwind"), await office.partner("Southbridge")
    await office.joined(mine, {"name": "Nora", "mail": "nora@northwind.example"})
    who = absorbed(mine, into=theirs)
    person_id = done(await office.known(who, ERIKA), 201)["person_id"]
    membership_id = await office.invited(who, person_id, mine, "seller")
    done(await office.post(ADMIN, f"/memberships/{membership_id}/join"))
    assert done(await office.post(who, f"/memberships/{membership_id}/end"))["status"] == "ended"
    assert done(await office.post(who, f"/people/{person_id}/erase"))["status"] == "erased"


async def test_everything_that_is_known_of_a_person_is_found_by_its_mail_until_it_is_forgotten(office: Office) -> None:
    mine = await office.partner("Northwind")
    person_id, membership_id = await office.joined(mine, ERIKA)
    mail = {"mail": ERIKA["mail"].upper()}
    assert done(await office.post(ADMIN, "/people/find", mail)) == {"person_id": person_id}
    assert (await office.post(ADMIN, "/people/find", {"mail": "nobody@northwind.example"})).status == 404

    found = done(await office.get(ADMIN, f"/people/{person_id}/everything"))
    assert (found["person"]["name"], found["person"]["mail"]) == ("Erika", ERIKA["mail"])
    assert [one["membership_id"] for one in found["memberships"]] == [membership_id]
    kinds = ["PersonRegistered", "MemberInvited", "MembershipStarted"]
    assert [one["type"] for one in found["facts"]] == [f"onboarding.{kind}.v1" for kind in kinds]
    assert found["facts"][0]["data"]["mail"] == ERIKA["mail"]

    done(await office.post(ADMIN, f"/people/{person_id}/erase"))
    left = await office.get(ADMIN, f"/people/{person_id}/everything")
    assert b"Erika" not in left.body
    assert ERIKA["mail"].encode() not in left.body
    assert [one["status"] for one in done(left)["memberships"]] == ["ended"]


async def test_nothing_is_sealed_anew_for_who_was_forgotten(office: Office) -> None:
    person_id = done(await office.known(ADMIN, ERIKA), 201)["person_id"]
    done(await office.post(ADMIN, f"/people/{person_id}/erase"))
    assert (await office.known(ADMIN, ERIKA)).status == 409
    everything = b"".join([bytes(one.stored) for one in await office.service.store.feed(0, 1_000)])
    boxes = set(re.findall(rb'"subject":"([^"]+)","box":"([^"]+)"', everything))
    opened = [
        office.service.application.keys.open("acme", Sealed(subject=s.decode(), box=b.decode())) for s, b in boxes
    ]
    assert opened
    assert "Erika" not in opened


async def test_keys_from_a_backup_bring_no_forgotten_person_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as office:
        person_id = done(await office.known(ADMIN, ERIKA), 201)["person_id"]
    shutil.copytree(tmp_path, tmp_path.with_name("backup"))
    async with opened(tmp_path) as office:
        done(await office.api(ADMIN).post(f"/people/{person_id}/erase", key="erase"))
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (tmp_path / "onboarding" / name).unlink(missing_ok=True)
    shutil.copy(tmp_path.with_name("backup") / "onboarding/keys.db", tmp_path / "onboarding/keys.db")
    async with opened(tmp_path) as office:
        found = await office.get(ADMIN, f"/people/{person_id}/everything")
        assert done(found)["facts"][0]["data"]["name"] is None
        assert b"Erika" not in found.body


async def test_a_partner_without_a_partner_sees_nothing(office: Office) -> None:
    await office.partner("Northwind")
    lost = Principal(tenant="acme", subject="x", kind="partner", roles=("owner",))
    assert (await office.get(lost, "/partners")).status == 403


async def test_another_tenant_is_another_world(office: Office) -> None:
    mine = await office.partner("Northwind")
    stranger = Principal(tenant="beta", subject="bea", kind="vendor", roles=("admin",))
    assert done(await office.get(stranger, "/partners"))["items"] == []
    found, never = [await office.get(stranger, f"/partners/{one}") for one in (mine, "absent")]
    assert (found.status, found.body) == (404, never.body)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"until": "0001-01-01T00:00:00+14:00"}, "body.until"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "body.until"),
        ({"scopes": []}, "body.scopes"),
        ({"scopes": ["access"] * 5}, "body.scopes"),
        ({"reason_code": "No Need"}, "body.reason_code"),
        ({"surprise": True}, "body.surprise"),
    ],
)
async def test_bad_input_is_refused_by_name(office: Office, body: dict[str, Any], path: str) -> None:
    partner_id = await office.partner("Northwind")
    wish = {"scopes": ["access"], "reason_code": "audit", **body}
    answer = await office.post(ADMIN, f"/partners/{partner_id}/suspend", wish)
    assert (answer.status, answer.json()["errors"][0]["path"]) == (422, path)
