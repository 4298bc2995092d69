"""With which batch a payment was handed over, if with one: what goes out in the batch's file goes out in no other."""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

import orjson

from chassis.application import Application
from chassis.decider import stream_name
from chassis.event import TYPES
from chassis.record import CommandRecorded, command_stream
from chassis.store.port import Recorded
from services.incentives.domain.batch import Batch, Batches, SendBatch
from services.incentives.domain.payment import Payments
from services.incentives.domain.payment_events import PaymentSubmitted

HEXADECIMAL = re.compile("[0-9a-f]{32}")


async def batches_of(app: Application, tenant: str, payment_ids: Iterable[str]) -> dict[str, str | None]:
    """For each payment that was handed over the batch in which it was the last time; None for one by itself."""
    names = {payment_id: stream_name(tenant, Payments.kind, payment_id) for payment_id in payment_ids}
    streams = await app.executor.store.load_many(dict.fromkeys(names.values(), 0))
    handed = {payment_id: command for payment_id, name in names.items() if (command := _handed_by(streams[name]))}
    records = await app.executor.store.load_many({command_stream(tenant, one): 0 for one in handed.values()})
    return {payment_id: _batch(records[command_stream(tenant, one)][0].event) for payment_id, one in handed.items()}


def _handed_by(stream: Sequence[Recorded]) -> str | None:
    """The command that handed a payment over the last time."""
    found = [one.command_id for one in stream if isinstance(one.event, PaymentSubmitted)]
    return found[-1] if found else None


def _batch(record: CommandRecorded) -> str | None:
    """The batch that a command sent, if it sent one."""
    if TYPES.classes[record.command_type] is not SendBatch:
        return None
    batch_id: str = orjson.loads(bytes(record.command))["batch_id"]
    return batch_id


async def references_of(app: Application, tenant: str, message_id: str) -> list[str]:
    """The references that the pain.001 of this message id held, the newest of each payment; nothing for none of ours.

    The file of a batch has the batch's id, without its hyphens, that of one payment its reference.
    """
    hexadecimal, _, attempt = message_id.partition("-")
    if not HEXADECIMAL.fullmatch(hexadecimal):
        return []
    identity = str(UUID(hexadecimal))
    peek = app.executor.peek(tenant)
    if attempt:
        payment = await peek(Payments.at(identity))
        alone = (await batches_of(app, tenant, [identity])).get(identity, "") is None
        return [message_id] if alone and payment.references[-1] == message_id else []
    batch: Batch = await peek(Batches.at(identity))
    ids = batch.prepared.payment_ids if batch.prepared else ()
    mine = [name for name, sent in (await batches_of(app, tenant, ids)).items() if sent == identity]
    return [(await peek(Payments.at(payment_id))).references[-1] for payment_id in mine]
