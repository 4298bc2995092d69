"""What the keys of personal text ask of the store that keeps them, wrapped and by their slot.

Text is sealed and opened in the middle of other work, so calls are answered where they are made, each within a limit. One
process's calls come one after the other.
"""

from collections.abc import Callable
from typing import Protocol

Slot = tuple[str, str, str]
"""Tenant, purpose, subject."""
Wrap = Callable[[Slot, bytes], bytes]
SEAL, HMAC = "seal", "hmac"
"""Purposes: a subject's key is destroyed with it; a tenant's own stays for ever."""


class KeyStore(Protocol):
    """Wrapped keys, who was forgotten, and the master key where a KMS wrapped it. What is answered is flushed."""

    def migrate(self) -> None:
        """Makes the tables; again is harmless."""
        ...

    def open(self) -> None:
        """Begins the work. Raises NotMigrated without tables, InUse while somebody has the keys for himself."""
        ...

    def answers(self) -> bool:
        """Whether it can be asked now; for whoever may wait for that, and wants to know nothing else."""
        ...

    def changed(self) -> bool:
        """Whether anybody may have destroyed a key, by a call that has been answered, since this was asked last."""
        ...

    def read(self, slot: Slot) -> bytes | None:
        """The wrapped key, or None where there is none."""
        ...

    def create(self, slot: Slot, wrapped: bytes) -> bytes | None:
        """Keeps the key unless there is one: the one that is kept, or None where it was destroyed meanwhile."""
        ...

    def destroy(self, tenant: str, subject: str, cause: str | None) -> None:
        """Destroys the subject's key, once for each cause; without one, each time."""
        ...

    def followed(self) -> int:
        """The position up to which the log's word on who is forgotten has been carried out; 0 at first."""
        ...

    def follow(self, position: int) -> None:
        """Remembers that position, in every copy too."""
        ...

    def master(self) -> str | None:
        """The master key as a KMS wrapped it, or None."""
        ...

    def keep_master(self, wrapped: str) -> str:
        """Keeps the wrapped master key unless one is kept already; answers the one that is kept."""
        ...

    def replace_master(self, old: str, new: str) -> None:
        """Keeps the new wrapping in the place of the old one, unless somebody else has replaced that meanwhile."""
        ...

    def one(self) -> tuple[Slot, bytes] | None:
        """Any of the keys, or None where there are none."""
        ...

    def renew(self, again: Wrap, master: str) -> int:
        """Keeps every key as `again` wraps it, and this master key, all in one commit; answers how many."""
        ...

    def close(self) -> None:
        """Lets go of what is open. Nothing is called afterwards."""
        ...
