"""Files of a batch for a bank: ISO 20022 pain.001.001.09, and a table."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

from chassis.event import frozen
from contracts.values import Money
from services.incentives.domain.bank_account import BankAccount

PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
NAME_CHARACTERS = 70
MESSAGE_ID_CHARACTERS = 35
NOT_PROVIDED = "NOTPROVIDED"


@frozen
class Order:
    """One payment of the file. `reference` is its EndToEndId."""

    reference: str
    account: BankAccount
    amount: Money
    statement_number: int


@frozen
class Message:
    """One file: its batch or its payment's reference, when it was made, and when it is to be carried out.

    The payer's account may have no number: then its bank has to know whose file it is.
    """

    message_id: str
    made_at: datetime
    on: date
    payer: BankAccount
    orders: Sequence[Order]

    @property
    def total(self) -> Decimal:
        return sum((order.amount.amount for order in self.orders), Decimal(0))


def pain_001(message: Message) -> bytes:
    """The batch as a customer credit transfer initiation; amounts are summed as the standard asks for."""
    document = ET.Element("Document", {"xmlns": PAIN})
    root = ET.SubElement(document, "CstmrCdtTrfInitn")
    _header(root, message)
    information = ET.SubElement(root, "PmtInf")
    _information(information, message)
    for order in message.orders:
        _transfer(information, order)
    ET.indent(document)
    written: bytes = ET.tostring(document, encoding="utf-8", xml_declaration=True)
    return written


def _header(root: ET.Element, message: Message) -> None:
    header = ET.SubElement(root, "GrpHdr")
    _text(header, "MsgId", _identity(message.message_id))
    _text(header, "CreDtTm", message.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    _text(header, "NbOfTxs", str(len(message.orders)))
    _text(header, "CtrlSum", str(message.total))
    _text(header, "InitgPty/Nm", message.payer.holder)


def _information(information: ET.Element, message: Message) -> None:
    _text(information, "PmtInfId", _identity(message.message_id))
    _text(information, "PmtMtd", "TRF")
    _text(information, "NbOfTxs", str(len(message.orders)))
    _text(information, "CtrlSum", str(message.total))
    _text(information, "ReqdExctnDt/Dt", message.on.isoformat())
    _text(information, "Dbtr/Nm", message.payer.holder)
    _account(information, "DbtrAcct", message.payer)
    if message.payer.is_iban:
        _text(information, "DbtrAgt/FinInstnId/Othr/Id", NOT_PROVIDED)
    else:
        _bank(information, "DbtrAgt", message.payer)


def _transfer(information: ET.Element, order: Order) -> None:
    transfer = ET.SubElement(information, "CdtTrfTxInf")
    _text(transfer, "PmtId/EndToEndId", order.reference)
    amount = ET.SubElement(ET.SubElement(transfer, "Amt"), "InstdAmt", {"Ccy": order.amount.currency})
    amount.text = str(order.amount.amount)
    if not order.account.is_iban:
        _bank(transfer, "CdtrAgt", order.account)
    _text(transfer, "Cdtr/Nm", order.account.holder)
    _account(transfer, "CdtrAcct", order.account)
    _text(transfer, "RmtInf/Ustrd", f"Statement {order.statement_number}")


def _account(parent: ET.Element, name: str, account: BankAccount) -> None:
    kind = "IBAN" if account.is_iban and account.number else "Othr/Id"
    _text(parent, f"{name}/Id/{kind}", account.number or NOT_PROVIDED)


def _bank(parent: ET.Element, name: str, account: BankAccount) -> None:
    bank = ET.SubElement(ET.SubElement(parent, name), "FinInstnId")
    if account.bic:
        _text(bank, "BICFI", account.bic)
    if account.clearing:
        member = ET.SubElement(bank, "ClrSysMmbId")
        _text(member, "ClrSysId/Cd", account.clearing)
        _text(member, "MmbId", account.clearing_number)


def _text(parent: ET.Element, path: str, text: str) -> None:
    """An element, and those on the way to it, with its text: what no file may hold is left out."""
    for name in path.split("/"):
        parent = ET.SubElement(parent, name)
    shown = "".join(letter for letter in text if letter.isprintable()).strip()
    parent.text = shown[:NAME_CHARACTERS] or NOT_PROVIDED


def _identity(message_id: str) -> str:
    """A batch's id without its hyphens; a reference as it is, which has 35 characters with its own."""
    return message_id if len(message_id) == MESSAGE_ID_CHARACTERS else message_id.replace("-", "")
