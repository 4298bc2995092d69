"""Deals by mail: what is read of a mail, how surely, and what comes of it."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.testing.kit import given
from contracts.registration import DealRegistered
from contracts.values import PartnerId, RegistrationId
from services.registration.adapters.mail_labels import LABELS
from services.registration.adapters.mail_parser import LabelledLines
from services.registration.domain.kept_mail import (
    ForgetMail,
    KeepMail,
    MailForgotten,
    MailIsForgotten,
    MailKept,
    MailRead,
    Mails,
    MailSettled,
    ReadMailAgain,
    SettleMail,
)
from services.registration.domain.mail_reading import Found, Reading
from tests.registration.deals import BY_COMMAND, NOW, SEALED
from tests.registration.service import ADMIN, DESK, Running, activated, seller, started

ADA, BEN = seller("p1"), seller("p2")
BODY = """Hello,

Customer: Contoso GmbH
Website: https://www.contoso.com/de
Country: Germany
Products: cloud/100, 10 x backup
Amount: EUR 12,500.00
"""
HEAD = "From: Ada <ada@p1.example>\nSubject: A new deal\n"
MAIL = f"{HEAD}\n{BODY}"
SAYING = {"customer.country": "DE", "amount": "EUR 7", "close_on": "2026-06-30"}


def read(raw: str) -> Reading:
    return LabelledLines().read(raw)


def said(body: str, name: str) -> tuple[Any, float]:
    """What a line of a mail was read as, and how surely."""
    [found] = [one for one in read(f"{HEAD}\n{body}\n").found if one.name == name]
    return found.value, found.confidence


def encoded(text: bytes, declared: str, kind: str = "text/plain") -> str:
    head = f"{HEAD}Content-Type: {kind}; charset={declared}\nContent-Transfer-Encoding: base64\n\n"
    return head + base64.encodebytes(text).decode()


# Reading


def test_each_labelled_line_is_a_field_with_its_line_and_how_sure_it_is() -> None:
    assert read(MAIL) == Reading(
        parser=1,
        found=(
            Found(name="customer.name", value="Contoso GmbH", text="Contoso GmbH", source="line 3", confidence=0.95),
            Found(
                name="customer.website",
                value="www.contoso.com",
                text="https://www.contoso.com/de",
                source="line 4",
                confidence=0.95,
            ),
            Found(name="customer.country", value="DE", text="Germany", source="line 5", confidence=0.9),
            Found(
                name="products",
                value=[{"family": "cloud", "sku": "100"}, {"family": "backup", "quantity": 10}],
                text="cloud/100, 10 x backup",
                source="line 6",
                confidence=0.95,
            ),
            Found(
                name="amount",
                value={"amount": "12500.00", "currency": "EUR"},
                text="EUR 12,500.00",
                source="line 7",
                confidence=0.9,
            ),
        ),
    )
    assert read(MAIL).complete


@pytest.mark.parametrize(
    "body",
    [
        "Kunde: Contoso GmbH\nWebseite: contoso.com\nLand: Deutschland\nProdukte: cloud\nBetrag: 12.500,00 €",
        "Société : Contoso GmbH\nSite web : contoso.com\nPays : Allemagne\nProduits : cloud\nMontant : 12 500,00 EUR",
        "Cliente: Contoso GmbH\nSitio web: contoso.com\nPaís: Alemania\nProductos: cloud\nImporte: 12.500,00 EUR",
        "Cliente finale: Contoso GmbH\nSito: contoso.com\nPaese: Germania\nProdotti: cloud\nImporto: 12.500,00 EUR",
        "**Customer:** Contoso GmbH\n- Web = contoso.com\n* COUNTRY: DE\nProduct:\n- cloud\n\nValue: 12500 euro",
    ],
)
def test_labels_are_known_in_five_languages_and_whatever_stands_around_them(body: str) -> None:
    found = read(f"{HEAD}\n{body}\n")

    assert found.complete
    assert {**found.body(), "amount": found.body()["amount"]["amount"].removesuffix(".00")} == {
        "customer": {"name": "Contoso GmbH", "website": "contoso.com", "country": "DE"},
        "products": [{"family": "cloud"}],
        "amount": "12500",
    }


@pytest.mark.parametrize(
    ("text", "value", "confidence"),
    [
        ("EUR 12500", ("12500", "EUR"), 0.95),
        ("12.500,50 €", ("12500.50", "EUR"), 0.9),
        ("CHF 1'250'000", ("1250000", "CHF"), 0.95),
        ("1,250,000 USD", ("1250000", "USD"), 0.9),
        ("12.500 EUR", ("12500", "EUR"), 0.5),
        ("$ 900", ("900", "USD"), 0.5),
        ("1,25,000 EUR", ("125000", "EUR"), 0.5),
        ("about 10k", None, 0.0),
        ("12500", None, 0.0),
        ("-5 EUR", None, 0.0),
    ],
)
def test_an_amount_is_sure_only_where_its_marks_and_its_currency_are_clear(
    text: str, value: tuple[str, str] | None, confidence: float
) -> None:
    expected = {"amount": value[0], "currency": value[1]} if value else None
    assert said(f"Amount: {text}", "amount") == (expected, confidence)


def test_a_currency_may_stand_in_a_line_of_its_own() -> None:
    assert said("Currency: GBP\nAmount: 12500", "amount") == ({"amount": "12500", "currency": "GBP"}, 0.95)


@pytest.mark.parametrize(
    ("text", "value", "confidence"),
    [
        ("2026-06-30", "2026-06-30", 0.9),
        ("30.06.2026", "2026-06-30", 0.9),
        ("30. Juni 2026", "2026-06-30", 0.9),
        ("June 30th, 2026", "2026-06-30", 0.9),
        ("30 de junio de 2026", "2026-06-30", 0.9),
        ("30/06/2026", "2026-06-30", 0.9),
        ("06/30/2026", "2026-06-30", 0.9),
        ("06/07/2026", "2026-07-06", 0.5),
        ("31.02.2026", None, 0.0),
        ("end of June", None, 0.0),
    ],
)
def test_a_day_is_sure_only_where_it_can_be_no_other(text: str, value: str | None, confidence: float) -> None:
    assert said(f"Close date: {text}", "close_on") == (value, confidence)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("VAT: DE 136695976", "customer.identifiers", {"scheme": "vat", "value": "DE 136695976"}),
        ("Role: Reseller", "role", "resell"),
        ("Deal type: Verlängerung", "deal_type", "renewal"),
        ("Country: Atlantis", "customer.country", None),
        ("Website: ask us", "customer.website", None),
        ("PLZ: 10115", "customer.postcode", "10115"),
        ("Unser Zeichen: PO-7", "partner_reference", "PO-7"),
        (
            "Contact: Eva Muster <eva@contoso.com>, +49 30 1234567",
            "contacts",
            [{"name": "Eva Muster", "email": "eva@contoso.com", "phone": "+49301234567"}],
        ),
        (
            "Description: Replaces what they\nhave in the cellar.",
            "description",
            "Replaces what they have in the cellar.",
        ),
    ],
)
def test_each_kind_of_field_is_read_as_a_registration_takes_it(line: str, name: str, value: Any) -> None:
    assert said(line, name)[0] == value


def test_what_stands_twice_and_differs_is_sure_of_neither() -> None:
    found = read(MAIL + "Amount: EUR 900\n")

    assert [one.confidence for one in found.found if one.name == "amount"] == [0.5, 0.5]
    assert found.open == ("amount",)


def test_an_unclear_field_keeps_a_draft_though_nothing_needs_it_and_one_that_is_left_out_does_not() -> None:
    assert read(MAIL + "Close date: 06/07/2026\n").open == ("close_on",)
    assert read(MAIL.replace("Country: Germany", "Country: US")).open == ("customer.region",)
    assert read(f"{HEAD}\nCustomer: Contoso\n").open == ("customer.country", "known_by", "products", "amount")


def test_a_signature_and_an_earlier_mail_hint_and_never_decide() -> None:
    below = MAIL.replace("Website: https://www.contoso.com/de\n", "VAT: DE136695976\n")
    found = read(f"{below}> Country: France\n\n-- \nAda\nWebsite: www.p1.example\nada@p1.example eva@fabrikam.com\n")
    hints = [(one.value, one.source, one.confidence, one.guess) for one in found.found if one.guess]

    assert hints == [
        ("FR", "quoted, line 8", 0.6, True),
        ("www.p1.example", "signature, line 12", 0.5, True),
        ("fabrikam.com", "address, signature, line 13", 0.4, True),
    ]
    assert found.complete
    assert found.body(0.8)["customer"] == {
        "name": "Contoso GmbH",
        "country": "DE",
        "identifiers": [{"scheme": "vat", "value": "DE136695976"}],
    }


# Whatever a mail is made of


def test_of_nested_parts_the_text_is_read_and_no_attachment() -> None:
    html = "Content-Type: text/html\n\n<p>Customer: Html</p>"
    both = f"--in\n{html}\n--in\nContent-Type: text/plain\n\n{BODY}\n--in--\n"
    inner = f'Content-Type: multipart/alternative; boundary="in"\n\n{both}'
    file = "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nCustomer: From a file\n"
    mail = f'{HEAD}Content-Type: multipart/mixed; boundary="out"\n\n--out\n{file}\n--out\n{inner}\n--out--\n'

    assert read(mail).complete
    assert read(mail).body()["customer"]["name"] == "Contoso GmbH"
    assert read(mail).remarks == ()


def test_what_is_copied_out_of_a_mail_without_its_headers_is_read_too() -> None:
    assert read("\r\n".join(BODY.splitlines()[2:])).body() == read(MAIL).body()


def test_html_alone_is_read_as_a_browser_shows_it() -> None:
    rows = "".join(f"<tr><td><b>{line.replace(': ', ':</b></td><td>', 1)}</td></tr>" for line in BODY.splitlines()[2:])
    hidden = (
        "<head><title>Customer: T</title><style>p {}</style></head><script>Customer: S</script><!-- Customer: C -->"
    )
    mail = f"{HEAD}Content-Type: text/html\n\n<html>{hidden}<body>Hi&nbsp;all<table>{rows}</table></body></html>"

    found = read(mail)

    assert found.complete
    assert found.body()["customer"]["name"] == "Contoso GmbH"
    assert found.remarks == ("html-only",)


@pytest.mark.parametrize(
    ("raw", "remarks"),
    [
        ("", ("no-text",)),
        ("no mail at all", ()),
        (f"{HEAD}Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n", ("no-text",)),
        (f"{HEAD}\n\n", ("no-text",)),
        ("Content-Type: message/rfc822\n\n" * 5_000, ("too-many-parts",)),
        (
            "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(4_000)),
            ("too-many-parts",),
        ),
        (f"{HEAD}Content-Type: text/html\n\n" + "<!--" * 60_000, ("no-text",)),
        (f"{HEAD}Content-Type: text/html\n\n" + "<" * 250_000, ("no-text",)),
        ("From: " + "(" * 250_000 + "\n\nHello", ()),
        ("Subject: " + "=?utf-8?q?a?= " * 18_000 + "\n\nHello", ()),
    ],
)
def test_a_mail_that_says_nothing_or_means_harm_comes_to_nothing(raw: str, remarks: tuple[str, ...]) -> None:
    assert read(raw) == Reading(parser=1, found=(), remarks=remarks)


@pytest.mark.parametrize(
    ("content", "declared", "remarks", "confidence"),
    [
        ("Müller", "utf-8", (), 0.95),
        ("Müller", "iso-8859-1", (), 0.95),
        ("Müller", "x-no-such", ("charset-guessed",), 0.7),
        ("Müller", "punycode", ("charset-guessed",), 0.7),
        ("Muller", "x-no-such", ("charset-guessed",), 0.95),
    ],
)
def test_letters_of_an_alphabet_that_there_is_not_are_guessed_and_not_sure(
    content: str, declared: str, remarks: tuple[str, ...], confidence: float
) -> None:
    alphabet = declared if declared in ("utf-8", "iso-8859-1") else "cp1252"
    found = read(encoded(f"Customer: {content} GmbH".encode(alphabet), declared))

    assert [(one.value, one.confidence) for one in found.found] == [(f"{content} GmbH", confidence)]
    assert found.remarks == remarks


def test_letters_that_are_declared_as_another_alphabet_are_seen_for_what_they_are() -> None:
    found = read(encoded("Customer: Müller GmbH".encode(), "iso-8859-1"))

    assert (found.found[0].value, found.found[0].confidence, found.remarks) == (
        "Müller GmbH",
        0.7,
        ("charset-guessed",),
    )


def test_line_ends_and_signs_that_nobody_sees_in_a_header_or_a_value_make_no_field() -> None:
    subject = "Subject: =?utf-8?q?x=0D=0AWebsite:_www.evil.example?=\n"
    found = read(
        f"{subject}From: =?utf-8?q?=0AWebsite:_www.evil.example?= <a@b.example>\n\nCustomer: Con\u202etoso\u200b\x07 GmbH\n"
    )

    assert [(one.name, one.value) for one in found.found] == [("customer.name", "Contoso GmbH")]


# Kept


HEADER = {"mail_id": "m-1", "partner_id": PartnerId("p1"), "registration_id": RegistrationId("d-1")}
KEPT = MailKept(**HEADER, programme="default", side="partner", raw=SEALED, size_bytes=7, kept_by="ada", kept_at=NOW)
READ = MailRead(**HEADER, parser=1, found=SEALED, missing=("amount",), read_by="ada", read_at=NOW)
MAIL_STREAM = Mails.at("m-1")


def test_a_mail_is_kept_once_with_what_was_read_of_it() -> None:
    wish = KeepMail(
        **HEADER,
        programme="default",
        side="partner",
        raw=SEALED,
        size_bytes=7,
        parser=1,
        found=SEALED,
        missing=("amount",),
        by="ada",
        now=NOW,
    )
    given(BY_COMMAND[KeepMail]).when(wish).then([KEPT, READ])
    given(BY_COMMAND[KeepMail], (MAIL_STREAM, [KEPT, READ])).when(wish).then_nothing()


def test_a_newer_parser_reads_again_and_the_same_or_an_older_one_changes_nothing() -> None:
    again = given(BY_COMMAND[ReadMailAgain], (MAIL_STREAM, [KEPT, replace(READ, parser=2)]))
    wish = ReadMailAgain(mail_id="m-1", parser=3, found=SEALED, missing=(), by="ada", now=NOW)

    again.when(wish).then([replace(READ, parser=3, missing=())])
    again.when(replace(wish, parser=2)).then_nothing()
    again.when(replace(wish, parser=1)).then_nothing()


def test_a_mail_is_forgotten_once_and_read_no_more() -> None:
    gone = MailForgotten(**HEADER, forgotten_by="ada", forgotten_at=NOW)
    wish = ForgetMail(mail_id="m-1", by="ada", now=NOW)
    again = ReadMailAgain(mail_id="m-1", parser=3, found=SEALED, missing=(), by="ada", now=NOW)

    given(BY_COMMAND[ForgetMail], (MAIL_STREAM, [KEPT, READ])).when(wish).then([gone])
    given(BY_COMMAND[ForgetMail], (MAIL_STREAM, [KEPT, READ, gone])).when(wish).then_nothing()
    given(BY_COMMAND[ReadMailAgain], (MAIL_STREAM, [KEPT, READ, gone])).when(again).refused(MailIsForgotten)


def test_what_became_of_a_mail_is_written_down_where_it_is_news() -> None:
    wish = SettleMail(mail_id="m-1", outcome="draft", missing=("amount",), now=NOW)
    settled = MailSettled(**HEADER, outcome="draft", missing=("amount",), settled_at=NOW)

    given(BY_COMMAND[SettleMail], (MAIL_STREAM, [KEPT, READ])).when(wish).then([settled])
    given(BY_COMMAND[SettleMail], (MAIL_STREAM, [KEPT, READ, settled])).when(wish).then_nothing()


# Over HTTP


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path, mail_bytes_max=8 << 10) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


async def handed_in(it: Running, mail: str = MAIL, who: Any = ADA, **named: Any) -> dict[str, Any]:
    it.clock.forward(timedelta(minutes=1))
    answer = await it.post(who, "/intake/mail", {"mail": mail, **named})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_mail_that_says_all_for_sure_registers_the_deal_as_one_call_would_also_when_retried(
    registration: Running,
) -> None:
    first, second = [await registration.post(ADA, "/intake/mail", {"mail": MAIL}, key="mail-1") for _ in range(2)]
    taken = first.json()
    deal = (await registration.get(ADA, f"/deals/{taken['registration_id']}")).json()

    assert (first.status_code, first.content) == (202, second.content)
    assert first.headers["Location"] == f"/intake/mail/{taken['mail_id']}"
    assert (taken["outcome"], taken["refusal"], taken["missing"]) == ("registered", None, [])
    assert taken["deal"]["status"] == deal["board"]["status"] == "in_review"
    assert deal["customer"]["name"] == "Contoso GmbH"
    assert deal["products"] == [
        {"family": "cloud", "sku": "100", "quantity": 1},
        {"family": "backup", "sku": None, "quantity": 10},
    ]
    desks = (await registration.get(DESK, f"/deals/{taken['registration_id']}")).json()
    assert [step["event"] for step in desks["history"]] == ["DealRegistered", "DealScreened", "StepOpened"]
    assert len(await registration.told(DealRegistered)) == 1
    assert {one["confidence"] for one in taken["fields"]} == {0.9, 0.95}


async def test_a_mail_that_leaves_something_open_becomes_a_draft_that_its_partner_completes(
    registration: Running,
) -> None:
    taken = await handed_in(registration, MAIL.replace("EUR 12,500.00", "12.500 EUR"))
    draft = (await registration.get(ADA, f"/drafts/{taken['registration_id']}")).json()
    kept = (await registration.get(ADA, f"/intake/mail/{taken['mail_id']}")).json()

    assert (taken["outcome"], taken["missing"], taken["deal"]) == ("draft", ["amount"], None)
    assert draft["number"] == taken["number"]
    assert draft["body"]["amount"] == {"amount": "12500", "currency": "EUR"}
    assert kept["raw"] == MAIL.replace("EUR 12,500.00", "12.500 EUR")
    assert (kept["state"], kept["parser"], kept["missing"]) == ("draft", 1, ["amount"])
    assert [one["source"] for one in kept["fields"]] == ["line 3", "line 4", "line 5", "line 6", "line 7"]

    amount = {"amount": {"amount": "12500.00", "currency": "EUR"}}
    await registration.patch(ADA, f"/deals/{taken['registration_id']}", amount)
    hidden = await registration.get(DESK, f"/intake/mail/{taken['mail_id']}")
    done = await registration.post(ADA, f"/deals/{taken['registration_id']}/register")
    after = (await registration.get(DESK, f"/intake/mail/{taken['mail_id']}")).json()
    assert (done.status_code, done.json()["number"]) == (201, taken["number"])
    assert (hidden.status_code, after["state"], after["missing"]) == (404, "registered", [])


async def test_a_mail_whose_draft_is_thrown_away_says_so_and_comes_to_nothing_any_more(registration: Running) -> None:
    taken = await handed_in(registration, f"{HEAD}\nCustomer: Fabrikam\n")
    path = f"/intake/mail/{taken['mail_id']}"
    await registration.post(ADA, f"/deals/{taken['registration_id']}/withdraw")
    app = registration.service.application
    app.ports = replace(app.ports, mails=Newer())

    again = await registration.post(ADA, f"{path}/reparse")

    assert again.status_code == 200
    assert (await registration.get(ADA, path)).json()["state"] == "discarded"
    assert (await registration.get(ADA, "/drafts")).json()["items"] == []


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("VAT: DE 123456789", ["customer.identifiers.0"]),
        ("Close date: 2019-01-01", ["close_on"]),
        ("Description: Too short", ["description"]),
    ],
)
async def test_what_a_registration_refuses_of_a_mail_stays_a_draft_and_is_named(
    registration: Running, line: str, missing: list[str]
) -> None:
    taken = await handed_in(registration, f"{MAIL}{line}\n")

    assert (taken["outcome"], taken["refusal"], taken["missing"]) == ("draft", "invalid", missing)
    assert (await registration.get(ADA, f"/drafts/{taken['registration_id']}")).status_code == 200


async def test_what_the_rules_require_besides_is_missing_of_a_mail_too(registration: Running) -> None:
    await registration.publish_rules(required=["description", "postcode"])
    taken = await handed_in(registration)

    assert (taken["outcome"], taken["missing"]) == ("draft", ["description", "postcode"])


async def test_the_same_deal_by_another_mail_is_refused_and_leaves_no_draft(registration: Running) -> None:
    first = await handed_in(registration)
    again = await handed_in(registration)
    listed = (await registration.get(ADA, "/intake/mail")).json()["items"]

    assert (again["outcome"], again["refusal"]) == ("refused", "already-registered")
    assert again["standing"] == listed[0]["standing"] == first["registration_id"]
    assert (await registration.get(ADA, "/drafts")).json()["items"] == []
    assert [(one["state"], one["refusal"]) for one in listed] == [
        ("refused", "already-registered"),
        ("registered", None),
    ]


async def test_whose_deal_it_is_says_who_signed_in_and_never_what_the_mail_says_of_its_sender(
    registration: Running,
) -> None:
    forged = await handed_in(registration, MAIL.replace("ada@p1.example", "ben@p2.example"))
    for_another = await registration.post(ADA, "/intake/mail", {"mail": MAIL, "partner_id": "p2"})
    unnamed = await registration.post(DESK, "/intake/mail", {"mail": MAIL})
    by_desk = await handed_in(registration, who=DESK, partner_id="p2")
    deals = [(await registration.get(DESK, f"/deals/{one['registration_id']}")).json() for one in (forged, by_desk)]

    assert [one["partner_id"] for one in deals] == ["p1", "p2"]
    assert [one.json()["errors"][0]["code"] for one in (for_another, unnamed)] == ["not-yours", "required"]


async def test_a_mail_is_read_by_its_partner_and_by_the_vendor_only_once_it_is_a_deal(registration: Running) -> None:
    vague = await handed_in(registration, MAIL.replace("Country: Germany\n", ""))
    clear = await handed_in(registration)
    for_ben = await handed_in(registration, f"{HEAD}\nCustomer: Fabrikam\n", who=DESK, partner_id="p2")
    read = {
        (who.subject, one["mail_id"]): (await registration.get(who, f"/intake/mail/{one['mail_id']}")).status_code
        for who in (ADA, BEN, DESK, ADMIN)
        for one in (vague, clear, for_ben)
    }
    lists = {
        who.subject: [one["mail_id"] for one in (await registration.get(who, "/intake/mail")).json()["items"]]
        for who in (ADA, BEN, DESK)
    }

    assert list(read.values()) == [200, 200, 404, 404, 404, 200, 404, 200, 200, 404, 200, 200]
    assert lists == {
        ADA.subject: [clear["mail_id"], vague["mail_id"]],
        BEN.subject: [for_ben["mail_id"]],
        DESK.subject: [for_ben["mail_id"], clear["mail_id"]],
    }
    for who, mail in ((BEN, clear), (DESK, vague)):
        for verb in ("reparse", "forget"):
            assert (await registration.post(who, f"/intake/mail/{mail['mail_id']}/{verb}")).status_code == 404


async def test_a_mail_that_is_too_large_is_refused_and_not_kept(registration: Running) -> None:
    answer = await registration.post(ADA, "/intake/mail", {"mail": MAIL + "x" * (8 << 10)})

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "too-large")
    assert (await registration.get(ADA, "/intake/mail")).json()["items"] == []


@dataclass(frozen=True)
class Newer:
    """A parser of a later version, that sees what the first one does not."""

    version: int = 2

    def read(self, raw: str) -> Reading:
        seen = Found(name="customer.country", value="DE", text="Berlin", source="line 9", confidence=0.9)
        first = LabelledLines().read(raw)
        return replace(first, parser=self.version, found=(*first.found, seen))


async def test_a_kept_mail_is_read_again_by_a_newer_parser_which_fills_the_draft_and_takes_nothing_a_person_wrote(
    registration: Running,
) -> None:
    taken = await handed_in(registration, MAIL.replace("Country: Germany\n", ""))
    path = f"/intake/mail/{taken['mail_id']}"
    own = {"amount": {"amount": "777.00", "currency": "EUR"}}
    await registration.patch(ADA, f"/deals/{taken['registration_id']}", own)
    same = await registration.post(ADA, f"{path}/reparse")
    before = (await registration.get(ADA, path)).json()

    app = registration.service.application
    app.ports = replace(app.ports, mails=Newer())
    again = await registration.post(ADA, f"{path}/reparse")
    after = (await registration.get(ADA, path)).json()
    draft = (await registration.get(ADA, f"/drafts/{taken['registration_id']}")).json()["body"]

    assert (same.status_code, again.status_code) == (200, 200)
    assert [one["parser"] for one in before["readings"]] == [1]
    assert [one["parser"] for one in after["readings"]] == [1, 2]
    assert (before["missing"], after["missing"], after["state"]) == (["customer.country"], [], "draft")
    assert draft["customer"] == {"name": "Contoso GmbH", "website": "www.contoso.com", "country": "DE"}
    assert draft["amount"] == own["amount"]


async def test_a_forgotten_mail_is_unreadable_everywhere_and_its_deal_stays(registration: Running) -> None:
    taken = await handed_in(registration)
    path = f"/intake/mail/{taken['mail_id']}"

    assert (await registration.post(ADA, f"{path}/forget")).status_code == 200
    await registration.seen(lambda: _unreadable(registration, path))
    kept = (await registration.get(ADA, path)).json()
    again = await registration.post(ADA, f"{path}/reparse")

    assert (kept["state"], kept["raw"], kept["fields"]) == ("forgotten", None, None)
    assert again.json()["type"].rpartition("/")[2] == "mail-forgotten"
    assert (await registration.get(DESK, f"/deals/{taken['registration_id']}")).json()["customer"][
        "name"
    ] == "Contoso GmbH"


async def _unreadable(it: Running, path: str) -> bool:
    return (await it.get(ADA, path)).json()["raw"] is None


async def test_each_field_that_a_mail_may_say_is_one_of_the_published_form(registration: Running) -> None:
    schema = (await registration.get(ADA, "/schemas/intake")).json()
    of_customer = {f"customer.{name}" for name in schema["$defs"]["CustomerBody"]["properties"]}
    every = "".join(f"{labels[0]}: {SAYING.get(name, 'words')}\n" for name, labels in LABELS.items())

    named = {one.name for one in read(f"{HEAD}\n{every}").found}

    assert named <= {*schema["properties"], *of_customer}
    assert len(named) == 15


async def test_a_mail_for_a_partner_not_announced_yet_is_not_kept_and_is_taken_once_it_is(
    registration: Running,
) -> None:
    body = {"mail": MAIL, "partner_id": "p9"}
    early = await registration.post(DESK, "/intake/mail", body, key="early")
    assert (early.status_code, early.json()["slug"], early.headers["Retry-After"]) == (409, "partner-unknown", "2")
    assert (await registration.get(DESK, "/intake/mail")).json()["items"] == []

    await registration.hear(activated("p9"))
    taken = await registration.post(DESK, "/intake/mail", body, key="early")

    assert (taken.status_code, taken.json()["outcome"]) == (202, "registered")
