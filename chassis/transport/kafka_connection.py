"""A connection to Kafka that breaks on uvloop as aiokafka expects one to break, so that nobody waits for ever.

On uvloop a write to what the other side has reset is a RuntimeError, for the two turns of the loop until its reader hears
of it. aiokafka takes OSError alone for a broken connection (its issue 1038). Whichever of its tasks sends in between ends,
and where that is the one that keeps metadata, all who wait for metadata do so for ever: the search for the coordinator of
a group does (its issue 712).
"""

from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """As the library's, on either loop."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002  the library's signature
        try:
            return super().send(request, expect_response)
        except RuntimeError as broken:
            if not self._writer.is_closing():
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=broken)
            raise KafkaConnectionError(f"The connection to {self.host}:{self.port} is broken.") from broken


# Every connection of the library is made by `create_conn`, which takes the class from here, and no other way is offered.
conn.AIOKafkaConnection = Connection
