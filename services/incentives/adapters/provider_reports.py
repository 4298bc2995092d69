"""What a bank reports in a file: an ISO 20022 pain.002 document, or a table with reference, outcome, day and event id.

A pain.002 may reject a whole file that it was brought, and then name no payment of it.
"""

import csv
import io
from datetime import date
from xml.etree import ElementTree as ET

from chassis.decider import Invalid
from chassis.event import frozen
from chassis.http import YEARS
from services.incentives.domain.payment import PAID, REJECTED, RETURNED, UNKNOWN

ROWS_MAX = 1_000
PAIN_002, TABLE = "pain002", "csv"
COLUMNS = ("reference", "outcome", "on", "provider_event_id")
OUTCOMES = (PAID, REJECTED, UNKNOWN, RETURNED)
STATUS = {"ACCC": PAID, "ACSC": PAID, "RJCT": REJECTED}
"""Settled on the creditor's or the debtor's account, and rejected; every other status is under way and says nothing."""
WHOLE = (
    ("OrgnlGrpInfAndSts", "GrpSts", "OrgnlMsgId"),
    ("OrgnlPmtInfAndSts", "PmtInfSts", "OrgnlPmtInfId"),
)
"""Where a file that is rejected whole says so, and of which one."""
DAY_CHARACTERS = 10
SAYS_CHARACTERS = 300
FIRST_ROW = 2
"""The row after the names of the columns."""


class ReportInvalid(Invalid):
    """The file is neither a pain.002 document nor a table of its columns, or has more than 1,000 rows."""

    slug = "report-invalid"


@frozen
class Reported:
    """What became of one reference, under the provider's own id of that event."""

    reference: str
    outcome: str
    on: date
    provider_event_id: str
    says: str = ""


@frozen
class FileRejected:
    """Nothing of a file is carried out: that of this message id, as its pain.001 had it."""

    message_id: str
    on: date
    report_id: str
    says: str

    def of(self, reference: str) -> Reported:
        """What that says of one of its payments."""
        event_id = f"{self.report_id}-{reference[-2:]}"
        return Reported(reference=reference, outcome=REJECTED, on=self.on, provider_event_id=event_id, says=self.says)


def reported(kind: str, content: str) -> list[Reported | FileRejected]:
    """Every settled row of a file in its order, then each file that is rejected whole. Raises ReportInvalid."""
    try:
        found = _pain_002(content) if kind == PAIN_002 else _table(content)
    except (ET.ParseError, csv.Error, ValueError, KeyError) as error:
        raise ReportInvalid(f"the file cannot be read: {error}") from error
    if len(found) > ROWS_MAX:
        raise ReportInvalid
    return found


def _pain_002(content: str) -> list[Reported | FileRejected]:
    if "<!" in content.replace("<!--", ""):
        raise ReportInvalid("a report declares nothing of its own")
    root = ET.fromstring(content)  # noqa: S314  without declarations there is nothing to expand
    space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
    header = root.find(f".//{space}GrpHdr")
    message, made = [_said(header, f"{space}{name}") for name in ("MsgId", "CreDtTm")]
    rows = root.iter(f"{space}TxInfAndSts")
    return [
        *(one for row in rows if (one := _status(row, space, message, made))),
        *_rejected(root, space, message, made),
    ]


def _rejected(root: ET.Element, space: str, message: str, made: str) -> list[FileRejected]:
    """The files that are rejected whole: a group, or all payments of one, which here is the same file."""
    found = {}
    for part, status, name in WHOLE:
        for one in root.iter(f"{space}{part}"):
            message_id = _said(one, f"{space}{name}")
            if STATUS.get(_said(one, f"{space}{status}")) == REJECTED and message_id not in found:
                day = _day(made)
                says = _reason(one, space)
                found[message_id] = FileRejected(message_id=message_id, on=day, report_id=message, says=says)
    return list(found.values())


def _reason(part: ET.Element, space: str) -> str:
    """Why, in the bank's words: its code, then what it adds."""
    told = part.find(f"{space}StsRsnInf")
    paths = (f"{space}Rsn/{space}Cd", f"{space}Rsn/{space}Prtry", f"{space}AddtlInf")
    words = " ".join(word for path in paths if (word := _said(told, path)))
    return "".join(letter for letter in words if letter.isprintable())[:SAYS_CHARACTERS]


def _status(row: ET.Element, space: str, message: str, made: str) -> Reported | None:
    outcome = STATUS.get(_said(row, f"{space}TxSts"))
    if outcome is None:
        return None
    reference = _said(row, f"{space}OrgnlEndToEndId")
    day = _day(_said(row, f"{space}AccptncDtTm") or made)
    event_id = _said(row, f"{space}StsId") or f"{message}-{reference[-2:]}"
    return Reported(
        reference=reference,
        outcome=outcome,
        on=day,
        provider_event_id=event_id,
        says=_reason(row, space),
    )


def _day(text: str) -> date:
    """The day with which a text begins. Raises ValueError for none, and for one that is not of our time."""
    day = date.fromisoformat(text[:DAY_CHARACTERS])
    if day.year not in YEARS:
        raise ValueError(f"{day} is not of our time")
    return day


def _said(parent: ET.Element | None, path: str) -> str:
    return "" if parent is None else (parent.findtext(path) or "").strip()


def _table(content: str) -> list[Reported | FileRejected]:
    rows = csv.DictReader(io.StringIO(content))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise ReportInvalid(f"the first row is {', '.join(COLUMNS)}")
    return [_row(number, row) for number, row in enumerate(rows, FIRST_ROW)]


def _row(number: int, row: dict[str, str]) -> Reported:
    if set(row) != set(COLUMNS) or None in row.values():
        raise ReportInvalid(f"row {number} has not the columns of the first one")
    if row["outcome"] not in OUTCOMES:
        raise ReportInvalid(f"row {number}: an outcome is one of {', '.join(OUTCOMES)}")
    return Reported(
        reference=row["reference"],
        outcome=row["outcome"],
        on=_day(row["on"]),
        provider_event_id=row["provider_event_id"],
    )
