"""The library's own test cases for recorders, with what they import but we do not install left out.

They import an AES cipher from PyCryptodome, which only the library's encryption of stored events needs. We do not use
that: personal fields are sealed before they reach a store.
"""

import sys
from types import ModuleType

_unused = ModuleType("eventsourcing.cipher")
_unused.AESCipher = object  # type: ignore[attr-defined]
sys.modules.setdefault("eventsourcing.cipher", _unused)

from eventsourcing.tests.persistence import (  # noqa: E402  after the name above stands
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

__all__ = ["ApplicationRecorderTestCase", "NonInterleavingNotificationIDsBaseCase"]
