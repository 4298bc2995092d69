"""Copies of keys have a life of their own: taken beside who writes, few, of one moment, and put back where none are."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis import keys_copy
from chassis.backup import NotEmpty
from chassis.event import Sealed
from chassis.keys import FileKeyWrapper, Keys, MasterKeyMissing
from chassis.keys_copy import KeysFile, NoKeys
from chassis.presence import InUse, at_work
from tests.chassis.test_forgetting import a_log, forgetting, leaves, names
from tests.chassis.test_keys import by_kms

AT = datetime(2031, 3, 3, 4, 15, tzinfo=UTC)
NAMED = "registration-keys-20310303T041500Z.db"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder of a service."""
    (tmp_path / "data" / "registration").mkdir(parents=True)
    return tmp_path / "data" / "registration"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def keys(here: Path) -> Iterator[Keys]:
    opened = Keys.in_directory(here)
    yield opened
    opened.close()


def taken(here: Path, kept: Path, at: datetime = AT, keep: int = 7) -> Path:
    return keys_copy.take(KeysFile(here), "registration", kept, at, keep=keep)[0]


def brought_back(copy: Path, to: Path) -> int:
    return keys_copy.bring_back(copy, KeysFile(to), "registration", to / "master.key").keys


def without_keys(here: Path, to: Path) -> Path:
    """Another folder, with the master key alone: what is left when the rest is lost."""
    to.mkdir()
    shutil.copy(here / "master.key", to)
    return to


def test_a_copy_holds_the_wrapped_keys_for_its_owner_alone(keys: Keys, here: Path, kept: Path) -> None:
    keys.seal("acme", "anna", "Annas secret")
    key = keys._known.get(("acme", "seal", "anna"))
    assert key is not None

    path, held = keys_copy.take(KeysFile(here), "registration", kept, AT, keep=7)

    assert (path, held.keys, held.by_kms) == (kept / NAMED, 1, False)
    assert [path] == list(kept.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
    assert key not in path.read_bytes()
    assert (here / "master.key").read_bytes() not in path.read_bytes()


def test_a_copy_says_whether_a_kms_keeps_what_opens_it(here: Path, kept: Path) -> None:
    by_kms()(here).close()
    assert keys_copy.take(KeysFile(here), "registration", kept, AT, keep=7)[1].by_kms


def test_a_copy_holds_nothing_of_who_was_forgotten_before(keys: Keys, here: Path, kept: Path) -> None:
    keys.seal("acme", "anna", "Anna")
    wrapped = keys.store._database.execute("SELECT wrapped FROM data_key").fetchone()[0]
    assert wrapped in taken(here, kept).read_bytes()
    keys.forget("acme", "anna")
    assert wrapped not in taken(here, kept, AT + timedelta(days=1)).read_bytes()


def test_a_copy_that_is_there_is_not_written_over(keys: Keys, here: Path, kept: Path) -> None:
    before = taken(here, kept).read_bytes()
    keys.seal("acme", "anna", "Anna")
    with pytest.raises(NotEmpty):
        taken(here, kept)
    assert (kept / NAMED).read_bytes() == before


@pytest.mark.usefixtures("keys")
def test_the_newest_copies_of_a_service_stay_and_nobody_elses_are_touched(here: Path, kept: Path) -> None:
    kept.mkdir()
    others = {"incentives-keys-20200101T000000Z.db", "registration.db", "note"}
    for name in others:
        (kept / name).touch()
    left_behind = kept / "registration-keys-20310301T000000Z.db.0a1b.new"
    left_behind.touch()

    made = [taken(here, kept, AT + timedelta(days=day), keep=3).name for day in range(5)]

    assert {*made[2:], *others} == {path.name for path in kept.iterdir()}


@pytest.mark.usefixtures("keys")
def test_the_copy_just_made_stays_though_the_clock_went_back(here: Path, kept: Path) -> None:
    later = taken(here, kept, keep=1)
    earlier = taken(here, kept, AT - timedelta(days=1), keep=1)
    assert {later, earlier} == set(kept.iterdir())
    newest = taken(here, kept, AT + timedelta(days=1), keep=1)
    assert [newest] == list(kept.iterdir())


@pytest.mark.parametrize("what", ["nothing", "no database", "no keys", "damaged", "damaged where no key is"])
def test_what_are_no_keys_is_not_copied_and_costs_no_older_copy(what: str, here: Path, kept: Path) -> None:
    keys = Keys.in_directory(here)
    for number in range(200):
        keys.seal("acme", f"s-{number}", "text")
    keys.close()
    older = taken(here, kept)
    path = here / "keys.db"
    damage = {"damaged": (3 * 4096, b"x" * 4096), "damaged where no key is": (36, b"\0\0\0\5")}.get(what)
    if damage:
        with path.open("r+b") as file:
            file.seek(damage[0])
            file.write(damage[1])
    else:
        path.unlink()
    if what == "no database":
        path.write_text("not a database at all" * 500)
    if what == "no keys":
        path.touch()
    with pytest.raises((NoKeys, FileNotFoundError)):
        taken(here, kept, AT + timedelta(days=1), keep=1)
    assert [older] == list(kept.iterdir())


WRITER = """
import sys
from pathlib import Path
from chassis.keys import Keys

keys, number = Keys.in_directory(Path(sys.argv[1])), 0
while True:
    box = keys.seal("acme", f"s-{number}", str(number))
    print(box.box, flush=True)
    number += 1
"""


def test_a_copy_taken_while_another_process_makes_keys_is_of_one_moment(here: Path, kept: Path, tmp_path: Path) -> None:
    Keys.in_directory(here).close()
    with subprocess.Popen([sys.executable, "-c", WRITER, str(here)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            boxes, copies = [writer.stdout.readline().strip()], []
            for number in range(5):
                at = AT + timedelta(minutes=number)
                path, held = keys_copy.take(KeysFile(here), "registration", kept, at, keep=7)
                copies.append((path, len(boxes), held.keys))
                boxes += [writer.stdout.readline().strip() for _ in range(held.keys + 1 - len(boxes))]
        finally:
            writer.kill()
        boxes += writer.stdout.read().split()

    for number, (copy, known, count) in enumerate(copies):
        there = without_keys(here, tmp_path / f"restored-{number}")
        assert known <= count == brought_back(copy, there)
        keys = Keys.in_directory(there)
        opened = [keys.open("acme", Sealed(subject=f"s-{n}", box=box)) for n, box in enumerate(boxes)]
        keys.close()
        assert opened == [str(n) if n < count else None for n in range(len(boxes))]


async def test_keys_of_a_copy_forget_at_the_start_what_was_forgotten_since(
    keys: Keys, here: Path, kept: Path, tmp_path: Path
) -> None:
    boxes = {who: keys.seal("acme", who, who.title()) for who in ("anna", "bela", "cora")}
    async with a_log(here / "events.db") as store:
        await leaves(store, "anna")
        await forgetting(store, keys).catch_up()
        copy = taken(here, kept)
        await leaves(store, "bela")
        await forgetting(store, keys).catch_up()

        there = without_keys(here, tmp_path / "there")
        assert brought_back(copy, there) == 2
        again = Keys.in_directory(there)
        assert {"anna": None, "bela": "Bela", "cora": "Cora"} == names(again, boxes)
        assert await forgetting(store, again).catch_up() == 1
        assert {"anna": None, "bela": None, "cora": "Cora"} == names(again, boxes)
        again.close()


def test_keys_are_not_brought_back_where_a_process_works(keys: Keys, here: Path, kept: Path, tmp_path: Path) -> None:
    keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), without_keys(here, tmp_path / "there")
    with at_work(there), pytest.raises(InUse):
        brought_back(copy, there)
    assert brought_back(copy, there) == 1


def test_keys_that_are_there_stay_and_none_make_room(keys: Keys, here: Path, kept: Path, tmp_path: Path) -> None:
    box = keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), without_keys(here, tmp_path / "there")
    started = Keys.in_directory(there)  # as by a start without keys
    assert brought_back(copy, there) == 1
    assert started.open("acme", box) == "Anna"  # whoever had the file open has the keys too
    since = started.seal("acme", "dora", "Dora")
    started.close()
    with pytest.raises(NotEmpty, match="move it away"):
        brought_back(copy, there)
    still = Keys.in_directory(there)
    assert still.open("acme", since) == "Dora"
    still.close()


def test_a_damaged_key_store_is_not_written_over(keys: Keys, here: Path, kept: Path, tmp_path: Path) -> None:
    keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), without_keys(here, tmp_path / "there")
    (there / "keys.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(NotEmpty, match="move it away"):
        brought_back(copy, there)
    assert (there / "keys.db").read_bytes() == b"damaged" * 1000


def test_what_an_interrupted_start_left_beside_lost_keys_does_no_harm(
    keys: Keys, here: Path, kept: Path, tmp_path: Path
) -> None:
    box = keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), without_keys(here, tmp_path / "there")
    shutil.copy(here / "keys.db-wal", there)
    assert brought_back(copy, there) == 1
    again = Keys.in_directory(there)
    assert again.open("acme", box) == "Anna"
    again.close()
    assert {"master.key", "keys.db", "at-work.lock"} == {path.name for path in there.iterdir()}
    assert (there / "keys.db").stat().st_mode & 0o777 == 0o600


def test_keys_come_back_to_the_master_key_that_wrapped_them_alone(keys: Keys, here: Path, kept: Path) -> None:
    keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), kept / "there"
    with pytest.raises(MasterKeyMissing, match="bring it first"):
        brought_back(copy, there)
    FileKeyWrapper(there / "master.key", made=True)
    with pytest.raises(MasterKeyMissing, match="bring the one that wrapped them"):
        brought_back(copy, there)
    (there / "master.key").write_text("no key")
    with pytest.raises(MasterKeyMissing, match="bring the one that wrapped them"):
        brought_back(copy, there)
    assert not (there / "keys.db").exists()


def test_keys_whose_master_key_a_kms_keeps_come_back_where_it_is_asked(here: Path, kept: Path, tmp_path: Path) -> None:
    unlocked = by_kms()
    keys = unlocked(here)
    box = keys.seal("acme", "anna", "Anna")
    keys.close()
    copy, there = taken(here, kept), tmp_path / "there"
    there.mkdir()
    (there / "master.key").write_bytes(os.urandom(32))
    with pytest.raises(MasterKeyMissing, match="ENTENTE_KMS"):
        brought_back(copy, there)
    assert keys_copy.bring_back(copy, KeysFile(there), "registration", None).keys == 1
    again = unlocked(there)
    assert again.open("acme", box) == "Anna"
    again.close()


def test_keys_of_another_service_are_refused(keys: Keys, here: Path, kept: Path, tmp_path: Path) -> None:
    keys.seal("acme", "anna", "Anna")
    copy = taken(here, kept)
    with pytest.raises(NoKeys, match="holds the keys of registration, not of onboarding"):
        keys_copy.bring_back(copy, KeysFile(tmp_path / "onboarding"), "onboarding", here / "master.key")


def test_a_copy_comes_back_from_where_nothing_can_be_written(
    keys: Keys, here: Path, kept: Path, tmp_path: Path
) -> None:
    keys.seal("acme", "anna", "Anna")
    copy, there = taken(here, kept), without_keys(here, tmp_path / "there")
    copy.chmod(0o400)
    kept.chmod(0o500)
    assert brought_back(copy, there) == 1
    assert [copy] == list(kept.iterdir())
    kept.chmod(0o700)
