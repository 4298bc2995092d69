"""What every adapter of the key store has to do; a test file subclasses `KeyStoreConformance` once for each.

A subclass says how a store is opened; opened again, it is another process's view of the same keys.
"""

# ruff: noqa: PLR2004  expected values are written by hand, as in tests/
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chassis import keys_copy
from chassis.backup import NotEmpty
from chassis.key_store.port import HMAC, SEAL, KeyStore, Slot

ANNA: Slot = ("acme", SEAL, "anna")
BELA: Slot = ("acme", SEAL, "bela")
RIVALS = 8


class KeyStoreConformance(ABC):
    """The promises of the key store port."""

    @abstractmethod
    def make(self) -> KeyStore:
        """A store over the same keys each time, with its tables made, not yet open."""

    @abstractmethod
    def kept(self) -> keys_copy.Kept:
        """The same keys, as copies see them."""

    @abstractmethod
    def elsewhere(self) -> keys_copy.Kept:
        """Where no keys are yet."""

    @abstractmethod
    def opened_elsewhere(self) -> KeyStore:
        """The store over what was brought back there, open."""

    def opened(self) -> KeyStore:
        """A store at work."""
        store = self.make()
        store.open()
        return store

    @pytest.fixture
    def here(self) -> Iterator[KeyStore]:
        with contextlib.closing(self.opened()) as store:
            yield store

    @pytest.fixture
    def there(self, here: KeyStore) -> Iterator[KeyStore]:
        with contextlib.closing(self.opened()) as store:
            yield store

    def test_tables_are_made_again_without_harm(self, here: KeyStore) -> None:
        here.create(ANNA, b"first")
        here.migrate()
        assert here.read(ANNA) == b"first"

    def test_the_first_key_of_a_slot_stays(self, here: KeyStore, there: KeyStore) -> None:
        assert (here.one(), here.read(ANNA)) == (None, None)
        assert here.create(ANNA, b"first") == b"first"
        assert there.create(ANNA, b"second") == b"first"
        assert (there.read(ANNA), there.one()) == (b"first", (ANNA, b"first"))

    def test_of_rivals_who_make_one_key_all_get_the_same(self, here: KeyStore) -> None:
        def made(number: int) -> list[bytes | None]:
            with contextlib.closing(self.opened()) as store:
                return [store.create(("acme", SEAL, f"s-{n}"), b"%d" % number) for n in range(20)]

        with ThreadPoolExecutor(RIVALS) as threads:
            answers = list(threads.map(made, range(RIVALS)))
        assert answers == [answers[0]] * RIVALS
        assert None not in answers[0]

    def test_a_destroyed_key_is_gone_for_everybody_who_asks_whether_somebody_was_forgotten(
        self, here: KeyStore, there: KeyStore
    ) -> None:
        here.create(ANNA, b"a")
        here.create(BELA, b"b")
        there.changed()
        assert not there.changed()
        here.destroy("acme", "anna", None)
        assert there.changed()
        assert (there.read(ANNA), there.read(BELA)) == (None, b"b")

    def test_a_tenants_own_key_and_other_tenants_outlive_a_subject_of_that_name(self, here: KeyStore) -> None:
        others = [("acme", HMAC, "anna"), ("other", SEAL, "anna")]
        for slot in (ANNA, *others):
            here.create(slot, b"key")
        here.destroy("acme", "anna", None)
        assert [None, b"key", b"key"] == [here.read(slot) for slot in (ANNA, *others)]

    def test_one_cause_destroys_once_whoever_carries_it_out(self, here: KeyStore, there: KeyStore) -> None:
        here.create(ANNA, b"first")
        here.destroy("acme", "anna", "cause-1")
        here.create(ANNA, b"second")
        there.destroy("acme", "anna", "cause-1")
        assert here.read(ANNA) == b"second"
        there.destroy("acme", "anna", "cause-2")
        assert here.read(ANNA) is None
        here.create(ANNA, b"third")
        here.destroy("acme", "anna", None)
        assert here.read(ANNA) is None

    def test_of_rivals_who_destroy_and_make_one_key_each_gets_one_or_none(self, here: KeyStore) -> None:
        def rival(number: int) -> set[bytes | None]:
            with contextlib.closing(self.opened()) as store:
                found: set[bytes | None] = set()
                for turn in range(20):
                    if number % 2:
                        store.destroy("acme", "anna", f"cause-{number}-{turn}")
                    else:
                        found.add(store.create(ANNA, b"%d-%d" % (number, turn)))
                return found

        with ThreadPoolExecutor(4) as threads:
            found = set().union(*threads.map(rival, range(4)))
        assert found - {None} <= {b"%d-%d" % (number, turn) for number in (0, 2) for turn in range(20)}
        here.destroy("acme", "anna", "the last")
        assert here.read(ANNA) is None

    def test_how_far_the_log_was_followed_is_remembered(self, here: KeyStore, there: KeyStore) -> None:
        assert here.followed() == 0
        here.follow(7)
        here.follow(12)
        assert there.followed() == 12

    def test_the_first_master_key_stays_until_it_is_replaced_by_who_knows_it(
        self, here: KeyStore, there: KeyStore
    ) -> None:
        assert here.master() is None
        assert (here.keep_master("one"), there.keep_master("two")) == ("one", "one")
        there.replace_master("two", "three")
        assert here.master() == "one"
        there.replace_master("one", "three")
        assert here.master() == "three"

    def test_all_keys_are_wrapped_anew_together_or_none(self, here: KeyStore) -> None:
        here.create(ANNA, b"a")
        here.create(BELA, b"b")
        here.keep_master("old")

        def fails(slot: Slot, wrapped: bytes) -> bytes:
            if slot == BELA:
                raise LookupError
            return b"new"

        with pytest.raises(LookupError):
            here.renew(fails, "new")
        assert (here.read(ANNA), here.master()) == (b"a", "old")
        assert here.renew(lambda slot, wrapped: wrapped.upper(), "new") == 2
        assert (here.read(ANNA), here.read(BELA), here.master()) == (b"A", b"B", "new")
        assert here.create(("acme", SEAL, "cora"), b"c") == b"c"

    def test_a_copy_brings_back_all_that_stood_there_when_it_was_taken(self, tmp_path: Path) -> None:
        draft = tmp_path / "copy.db"
        with contextlib.closing(self.opened()) as here:
            here.create(ANNA, b"a")
            here.create(("acme", HMAC, ""), b"h")
            here.destroy("acme", "bela", "cause-1")
            here.follow(12)
            here.keep_master("wrapped")
            self.kept().copy_to(draft)
            here.create(BELA, b"since")

        assert self.elsewhere().bring_in(draft)

        with contextlib.closing(self.opened_elsewhere()) as back:
            assert (back.read(ANNA), back.read(("acme", HMAC, "")), back.read(BELA)) == (b"a", b"h", None)
            assert (back.followed(), back.master()) == (12, "wrapped")
            back.create(BELA, b"anew")
            back.destroy("acme", "bela", "cause-1")
            assert back.read(BELA) == b"anew"

    def test_a_copy_is_brought_back_to_no_other_keys(self, tmp_path: Path) -> None:
        with contextlib.closing(self.opened()) as here:
            here.create(ANNA, b"a")
        draft, kept = tmp_path / "copy.db", self.kept()
        kept.copy_to(draft)
        with pytest.raises(NotEmpty):
            kept.bring_in(draft)
