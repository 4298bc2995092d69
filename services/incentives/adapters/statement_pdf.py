"""A statement as a PDF: plain pages of text with the fonts that every reader has, so that nothing has to be embedded.

The same statement is the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

LINES_A_PAGE = 58
LEFT, TOP, LEADING, SIZE = 50, 800, 13, 9
WIDTH, HEIGHT = 595, 842
CAUSE_CHARACTERS = 39
"""An id, and of an instalment its number."""


def statement_pdf(statement: Mapping[str, Any]) -> bytes:
    """The document: what it opened with, each change, what it closes with, and its seal."""
    lines = _lines(statement)
    starts = range(0, len(lines), LINES_A_PAGE)
    return _document([_page(lines[start : start + LINES_A_PAGE]) for start in starts])


def _lines(it: Mapping[str, Any]) -> list[str]:
    currency = it["closing"]["currency"]
    payments = {one["event_id"]: one for one in it.get("payments", ())}
    return [
        f"Statement {it['number']} of {it['period']}",
        f"Payee {it['payee_id']}, issued {it['issued_at'][:10]}",
        "",
        _row("", "opening balance", "", it["opening"]["amount"], currency),
        *(text for one in it["lines"] for text in _told(one, payments.get(one["event_id"]), currency)),
        _row("", "closing balance", "", it["closing"]["amount"], currency),
        "",
        f"SHA-256 {it['sha256']}",
        f"of the one before {it['previous_sha256'] or 'none'}",
        "The SHA-256 covers all of this statement and the one before it.",
    ]


def _told(line: Mapping[str, Any], payment: Mapping[str, Any] | None, currency: str) -> list[str]:
    """A line, and of a payment what of it reaches the bank, where that is not its amount."""
    kind = line["kind"].replace("_", " ")
    row = _row(line["effective_on"], kind, line["cause"], line["amount"]["amount"], currency)
    if payment is None or payment["to_bank"] == payment["amount"]:
        return [row]
    rate = f" ({payment['withheld_percent']} %)" if payment["withheld_percent"] else ""
    parts = {
        "amount": "",
        "tax": "on the invoice, on top",
        "withheld": f"for {payment['jurisdiction']}{rate}",
        "to_bank": "amount and tax less what is withheld",
    }
    shown = [(name, why) for name, why in parts.items() if Decimal(payment[name]["amount"])]
    return [
        row,
        *(_row("", f"  {name.replace('_', ' ')}", why, payment[name]["amount"], currency) for name, why in shown),
    ]


def _row(day: str, kind: str, cause: str, amount: str, currency: str) -> str:
    return f"{day:<10}  {kind:<18}  {cause[:CAUSE_CHARACTERS]:<{CAUSE_CHARACTERS}}  {amount:>18} {currency}"


def _page(lines: Iterable[str]) -> bytes:
    shown = b"".join(b"(%b) Tj T*\n" % _escaped(line) for line in lines)
    return b"BT /F1 %d Tf %d TL %d %d Td\n%bET" % (SIZE, LEADING, LEFT, TOP, shown)


def _escaped(text: str) -> bytes:
    plain = text.encode("cp1252", "replace")
    return plain.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _document(pages: Sequence[bytes]) -> bytes:
    """The objects of a PDF in order, and the table of where each begins."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * place) for place in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for place, content in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>"
            % (WIDTH, HEIGHT, 5 + 2 * place)
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    written, begins = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        begins.append(len(written))
        written += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % begin for begin in begins)
    size = len(objects) + 1
    return (
        written
        + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            size,
            table,
            size,
            len(written),
        )
    )
