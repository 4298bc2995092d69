"""A backup rehearsed: taken from a stopped system, brought back, and all of it as it was."""

import shutil
from pathlib import Path

import pytest

from chassis import backup
from chassis.presence import InUse
from contracts.catalogue import SERVICES
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.proofs import every_log_is_what_it_was
from tests.scenarios.system import System, done, running_system


async def registered(it: System, name: str) -> str:
    north = await it.who("northwind")
    wish = deal(name, f"www.{name.lower()}.de")
    made: str = done(await north.post(DEALS, wish, key=name), 201)["registration_id"]
    await it.settle()
    return made


async def test_a_restored_system_is_as_it_was_and_goes_on(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    async with running_system(data) as it:
        before = await registered(it, "Contoso")
        with pytest.raises(InUse):
            backup.take(data, SERVICES, kept)
    backup.take(data, SERVICES, kept)
    assert [] == [path.name for path in (kept / "system").rglob("*") if path.name in backup.KEY_FILES]

    async with running_system(data) as it:
        after = await registered(it, "Fabrikam")
    with pytest.raises(backup.NotEmpty):
        backup.bring_back(kept, data)
    shutil.rmtree(data)
    backup.bring_back(kept, data)

    await every_log_is_what_it_was(data)
    async with running_system(data) as it:
        north = await it.who("northwind")
        assert done(await north.get(f"{DEALS}/{before}"))["registration_id"] == before
        assert (await north.get(f"{DEALS}/{after}")).status == 404
        again = await registered(it, "Fabrikam")
        assert done(await north.get(f"{DEALS}/{again}"))["registration_id"] == again


def test_a_backup_without_its_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept" / "system").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="keys is not there"):
        backup.bring_back(tmp_path / "kept", tmp_path / "data")
