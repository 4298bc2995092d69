"""What rules would have decided that ask for slots and traces, of which nobody had asked before: as where they held."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from chassis.service import eyes_of, handles_of
from chassis.shadow import run
from chassis.shadow_api import ShadowBody, asked_for
from services.registration.domain.capacity import ReleaseSlot
from tests.chassis.sharing import shared
from tests.registration.service import DESK, TENANT, Running, activated, seller, started

LIMITS = {"auto_approval": {"on": True, "limits": [{"amount": "5000.00", "currency": "EUR"}]}}
ASKING_NOTHING: dict[str, Any] = {**LIMITS, "watch_for": []}
ASKING: dict[str, Any] = {**LIMITS, "watch_for": ["look", "document", "asked"], "capacity": 2}
LETTER = {"kind": "letter", "dated_on": "2026-03-01", "sha256": "a" * 64, "size_bytes": 1_000}
MUCH, LITTLE = {"amount": "9000.00", "currency": "EUR"}, {"amount": "2000.00", "currency": "EUR"}


def of(domain: str, name: str = "", **wish: Any) -> dict[str, Any]:
    return {"customer": {"name": name or domain, "country": "DE", "website": f"https://www.{domain}.com"}, **wish}


async def lived(asked: Running) -> None:
    """What people ask for, the same whatever the rules answer."""
    for partner in ("north", "south", "east"):
        await asked.hear(activated(partner))
    first = await asked.register("north", **of("contoso", amount=MUCH, evidence=[LETTER]))
    lost = await asked.register("north", **of("fabrikam", amount=MUCH))
    full = await asked.register("north", **of("wingtip", amount=MUCH))
    await asked.post(seller("north"), f"/deals/{first['registration_id']}/withdraw")
    await asked.register("north", **of("tailspin", amount=MUCH))
    await asked.post(DESK, f"/deals/{lost['registration_id']}/reject", {"reason_code": "no-fit"})
    elsewhere = await asked.register("north", **of("fabrikam", amount=LITTLE, role="referral"))
    shown = await asked.register("south", **of("litware", amount=LITTLE, evidence=[LETTER]))
    await asked.register("east", **of("c0ntoso", "Nadir", amount=LITTLE))
    for one in (full, elsewhere, shown):
        await asked.post(DESK, f"/deals/{one['registration_id']}/approve")
    await asked.register("north", **of("proseware", amount=MUCH))


async def shadow(asked: Running, body: dict[str, Any]) -> dict[str, Any]:
    """The report of these rules; several shares say the same, and so does who looks every customer up again."""
    service = asked.service
    wish = ShadowBody(rulebook_id="default", body=body)
    wanted = await asked_for(service.application, TENANT, wish, "tried")
    given = service.store, handles_of(service.blueprint), eyes_of(service.blueprint), wanted.candidate, wanted.window
    alone = await run(*given)
    for count, page in ((2, 5), (3, 40)):
        shares = await shared(count, given, page)
        assert orjson.dumps(shares.as_json()) == orjson.dumps(alone.as_json())
    full = await run(*given, afresh=service.blueprint.afresh[wanted.candidate.kind])
    assert full.as_json() == alone.as_json()
    return dict(alone.as_json())


def outcomes(report: dict[str, Any], side: str) -> list[tuple[str, str, list[str]]]:
    """Of the commands that differ, what they came to in one of the two worlds, and why. Who takes no slot gives none back."""
    rows = [row for row in report["rows"] if row["command"] != ReleaseSlot.type]  # type: ignore[attr-defined]
    return [(row["command"], row[side]["outcome"], row[side]["reasons"]) for row in rows]


def counted(report: dict[str, Any], side: str) -> Counter[tuple[str, str]]:
    return Counter({(one["what"], one["of"]): one[side] for one in report["counts"] if one[side]})


async def test_first_limits_and_watches_are_tried_as_they_would_have_been_lived(tmp_path: Path) -> None:
    reports = []
    for held, tried in ((ASKING_NOTHING, ASKING), (ASKING, ASKING_NOTHING)):
        async with started(tmp_path / str(len(reports))) as asked:
            await asked.publish_rules(**held)
            await lived(asked)
            assert (await shadow(asked, held))["changed"] == 0
            reports.append(await shadow(asked, tried))
    begun, ended = reports

    for there, here in (("old", "new"), ("new", "old")):
        assert outcomes(begun, there) == outcomes(ended, here)
        assert counted(begun, there) == counted(ended, here)
    codes = {code for _, _, reasons in outcomes(begun, "new") for code in reasons}
    assert {"capacity-full", "same-evidence", "look-alike-domain", "changed-after-loss"} <= codes
