"""Files to and from a bank: pain.001 fits its published schema whatever a payee is called, reports say what they say."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.values import money
from services.incentives.adapters.payment_files import Message, Order, pain_001
from services.incentives.adapters.provider_reports import FileRejected, Reported, ReportInvalid, reported
from services.incentives.domain.bank_account import BankAccount, bank_account

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "pain.001.001.09.xsd"))
IBAN = "DE89370400440532013000"
REFERENCE = f"{'a' * 32}-01"
OTHER = f"{'b' * 32}-02"


AT_AN_IBAN, NAMELESS = BankAccount(number=IBAN, holder=""), BankAccount(number="", holder="")


def message(*payees, payer=AT_AN_IBAN, currency="EUR", amount="100.00"):
    accounts = [replace(AT_AN_IBAN, holder=payee) for payee in payees]
    return message_to(*accounts, payer=payer, amount=money(amount, currency))


def message_to(*accounts, payer=AT_AN_IBAN, amount):
    orders = [Order(reference=REFERENCE, account=account, amount=amount, statement_number=1) for account in accounts]
    return Message(
        message_id="16ed1140-8237-5ce9-a180-d701b60fae22",
        made_at=datetime(2026, 4, 3, 9, tzinfo=UTC),
        on=date(2026, 4, 4),
        payer=replace(payer, holder="Vendor"),
        orders=orders,
    )


def faults_of(made):
    SCHEMA.validate(etree.fromstring(pain_001(made)))
    return [error.message for error in SCHEMA.error_log]


@pytest.mark.parametrize(("currency", "amount"), [("EUR", "100.00"), ("JPY", "100"), ("KWD", "1.005")])
def test_done_when_10_pain_001_validates_against_its_schema(currency, amount):
    assert faults_of(message("Müller & Söhne <GmbH>", "North", currency=currency, amount=amount)) == []


def test_it_does_so_before_the_vendor_has_named_its_account():
    assert faults_of(message("North", payer=NAMELESS)) == []


@given(st.text(min_size=1, max_size=200))
def test_it_does_so_whatever_a_payee_is_called(payee):
    assert faults_of(message(payee)) == []


def at_a_bank(number="000123456789", **bank):
    return BankAccount(number=number, holder="Sakura Systems", **bank)


NOT_IBANS = [
    (at_a_bank(clearing="USABA", clearing_number="111000025"), ["USABA", "111000025", "000123456789"]),
    (at_a_bank(bic="BOTKJPJT"), ["BOTKJPJT", "000123456789"]),
    (
        at_a_bank(bic="BOTKJPJTXXX", clearing="JPZGN", clearing_number="0005001"),
        ["BOTKJPJTXXX", "JPZGN", "0005001", "000123456789"],
    ),
]


@pytest.mark.parametrize(("account", "told"), NOT_IBANS)
def test_an_account_of_a_country_without_ibans_is_paid_at_the_bank_that_it_names(account, told):
    made = message_to(account, amount=money("100", "JPY"))
    assert faults_of(made) == []
    transfer = etree.fromstring(pain_001(made)).find(".//{*}CdtTrfTxInf")
    found = [one.text for place in ("CdtrAgt", "CdtrAcct") for one in transfer.find(f"{{*}}{place}").iter()]
    assert [text for text in found if text and text.strip()] == told
    assert transfer.find("{*}Cdtr/{*}Nm").text == "Sakura Systems"


@given(st.text(min_size=1, max_size=70), st.sampled_from([AT_AN_IBAN, *(a for a, _ in NOT_IBANS)]))
def test_a_sealed_account_is_opened_as_it_was_whatever_its_holder_is_called(holder, account):
    account = replace(account, holder=holder)
    assert bank_account(account.sealed_text()) == account


@pytest.mark.parametrize(("number", "shown"), [(IBAN, "3000"), ("12345", "45"), ("12", "2"), ("7", "")])
def test_no_more_than_half_of_an_account_is_shown(number, shown):
    assert at_a_bank(number, bic="BOTKJPJT").last_digits == shown


REPORT = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-06-04T08:00:00Z</CreDtTm></GrpHdr>
<OrgnlPmtInfAndSts><OrgnlPmtInfId>B</OrgnlPmtInfId>
<TxInfAndSts><StsId>S-1</StsId><OrgnlEndToEndId>{REFERENCE}</OrgnlEndToEndId><TxSts>ACSC</TxSts>
<AccptncDtTm>2026-06-03T10:00:00Z</AccptncDtTm></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>{OTHER}</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>{OTHER}</OrgnlEndToEndId><TxSts>ACSP</TxSts></TxInfAndSts>
</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"""


def test_a_pain_002_says_what_was_paid_and_rejected_and_nothing_of_what_is_under_way():
    assert reported("pain002", REPORT) == [
        Reported(reference=REFERENCE, outcome="paid", on=date(2026, 6, 3), provider_event_id="S-1"),
        Reported(reference=OTHER, outcome="rejected", on=date(2026, 6, 4), provider_event_id="M-1-02"),
    ]


def rejected(part, extra=""):
    return f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>M-2</MsgId><CreDtTm>2026-06-04T08:00:00Z</CreDtTm></GrpHdr>{part}{extra}</CstmrPmtStsRpt></Document>"""


WHY = "<StsRsnInf><Rsn><Cd>AM05</Cd></Rsn><AddtlInf>file was sent twice</AddtlInf></StsRsnInf>"
GROUP = f"<OrgnlGrpInfAndSts><OrgnlMsgId>F-1</OrgnlMsgId><GrpSts>RJCT</GrpSts>{WHY}</OrgnlGrpInfAndSts>"
ALL_OF_IT = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>F-1</OrgnlPmtInfId><PmtInfSts>RJCT</PmtInfSts>{WHY}</OrgnlPmtInfAndSts>"


@pytest.mark.parametrize("content", [rejected(GROUP), rejected(ALL_OF_IT), rejected(GROUP, ALL_OF_IT)])
def test_a_pain_002_that_rejects_a_whole_file_names_it_once_and_why_though_it_names_no_payment(content):
    [whole] = reported("pain002", content)
    assert whole == FileRejected(
        message_id="F-1", on=date(2026, 6, 4), report_id="M-2", says="AM05 file was sent twice"
    )
    told = whole.of(OTHER)
    assert (told.reference, told.outcome, told.provider_event_id) == (OTHER, "rejected", "M-2-02")


@pytest.mark.parametrize("status", ["ACCP", "ACTC", "PART", "PDNG", ""])
def test_a_file_that_is_not_rejected_whole_says_nothing_of_its_payments(status):
    assert reported("pain002", rejected(GROUP.replace("RJCT", status))) == []


def test_a_payment_that_is_rejected_says_why_in_the_bank_s_words():
    row = f"<TxInfAndSts><OrgnlEndToEndId>{OTHER}</OrgnlEndToEndId><TxSts>RJCT</TxSts>{WHY}</TxInfAndSts>"
    [told] = reported("pain002", rejected(f"<OrgnlPmtInfAndSts>{row}</OrgnlPmtInfAndSts>"))
    assert told.says == "AM05 file was sent twice"


def test_a_table_says_the_same():
    rows = f"reference,outcome,on,provider_event_id\n{REFERENCE},returned,2026-06-05,S-9\n"
    assert reported("csv", rows) == [
        Reported(reference=REFERENCE, outcome="returned", on=date(2026, 6, 5), provider_event_id="S-9")
    ]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("pain002", "no document"),
        ("pain002", '<!DOCTYPE x [<!ENTITY a "b">]><Document>&a;</Document>'),
        ("csv", "who,what\n1,2\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},lost,2026-06-05,S\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid,yesterday,S\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid,0001-01-01,S\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid,9999-12-31,S\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid,2026-06-05,S,more\n"),
        ("csv", f"reference,outcome,on,provider_event_id\n{REFERENCE},paid,2026-06-05,{'x' * 200_000}\n"),
        ("csv", "reference,outcome,on,provider_event_id\n" + f"{REFERENCE},paid,2026-06-05,S\n" * 1_001),
    ],
)
def test_what_is_no_report_is_refused(kind, content):
    with pytest.raises(ReportInvalid):
        reported(kind, content)
