"""A service whose master key a KMS keeps: while the KMS does not give it, callers come again, and nothing is lost."""

from pathlib import Path

from chassis.asgi import Api
from tests.chassis.transit_engine import TOKEN, TransitEngine
from tests.registration.service import activated, deal, seller, started


async def test_while_the_keys_are_locked_callers_come_again_and_then_find_their_first_answer(tmp_path: Path) -> None:
    engine, token = TransitEngine(), tmp_path / "token"
    engine.rotate("entente-registration")
    engine.status = 503
    token.write_text(TOKEN)
    async with (
        engine.serving() as url,
        started(tmp_path, kms=url, kms_token=token, kms_check_seconds=0.05) as office,
    ):
        probe = Api(office.service.api)
        locked = await office.send(seller("northwind"), "/deals", deal(), key="once")
        assert (locked.status_code, locked.json()["slug"], locked.headers["Retry-After"]) == (503, "keys-locked", "5")
        waiting = await probe.get("/readyz")
        assert (waiting.status, waiting.json()["services"]["registration"]["keys"]["locked"]) == (503, True)
        assert b'entente_keys_locked{service="registration"} 1.0' in await office.service.figures()

        engine.status = None

        async def unlocked() -> bool:
            return not office.service.application.keys.locked

        await office.seen(unlocked)
        await office.publish_rules()
        await office.hear(activated("northwind"))
        registered = await office.send(seller("northwind"), "/deals", deal(), key="once")
        assert registered.status_code == 201, registered.text
        await office.settle()
        assert b'entente_keys_locked{service="registration"} 0.0' in await office.service.figures()
        agreed = await probe.get("/readyz")
        assert agreed.json()["services"]["registration"]["keys"] == {"locked": False, "kms": "agrees"}
