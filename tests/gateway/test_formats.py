"""How the portal shows values: in the reader's way, in the programme's zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from contracts.values import DISPUTE_GROUNDS
from services.gateway.api.authentication import own_path
from services.gateway.api.portal.formats import ABSENT, Formats, locale_of
from services.gateway.api.portal.rendering import TEMPLATES

NOW = datetime(2031, 3, 3, 9, tzinfo=UTC)
ENGLISH = Formats(Locale("en"), ZoneInfo("Europe/Berlin"), NOW)
GERMAN = Formats(Locale("de"), ZoneInfo("Europe/Berlin"), NOW)


def test_an_instant_is_shown_to_the_minute_in_the_programmes_zone() -> None:
    assert ENGLISH.moment("2031-07-01T22:30:15Z") == "Jul 2, 2031, 12:30\N{NARROW NO-BREAK SPACE}AM CEST"
    assert GERMAN.moment("2031-07-01T22:30:15Z") == "02.07.2031, 00:30 CEST"


def test_dates_and_amounts_in_a_services_words_are_shown_in_the_readers_way() -> None:
    said = "held until 2031-03-11 by the plan: 6300.00 EUR less 0.50 EUR"
    assert ENGLISH.text(said) == "Held until Mar 11, 2031 by the plan: €6,300.00 less €0.50"
    cools = "changed bank details wait 120 hours, until 2031-03-16T06:16:37.284513Z."
    assert ENGLISH.text(cools) == (
        "Changed bank details wait 120 hours, until Mar 16, 2031, 7:16\N{NARROW NO-BREAK SPACE}AM CET."
    )
    assert ENGLISH.text("139100.0000 more revenue and 0.5000 more") == "139,100 more revenue and 0.5 more"
    assert GERMAN.said(said).startswith("held until 11.03.2031 by the plan: 6.300,00\N{NO-BREAK SPACE}€")


@pytest.mark.parametrize("words", ["R-2031-03-111", "10 % of 3 lines", "version 1.10", ""])
def test_words_without_dates_or_amounts_stay(words: str) -> None:
    assert ENGLISH.said(words) == words


def test_a_month_has_a_name() -> None:
    assert ENGLISH.month("2031-03") == "March 2031"
    assert ENGLISH.month("2031-13") == ENGLISH.month(None) == ABSENT


def test_every_country_can_be_chosen_once_and_nothing_else() -> None:
    codes = [code for code, _ in ENGLISH.countries()]
    assert len(codes) == len(set(codes)) == 250
    assert {"DE", "US", "XK"} <= set(codes)
    assert not {"EU", "UN", "ZZ"} & set(codes)
    assert (ENGLISH.country("FR"), ENGLISH.country("??"), ENGLISH.country(None)) == ("France", "??", ABSENT)


def test_words_are_in_the_language_of_the_page() -> None:
    assert GERMAN.distance("2031-03-06T09:00:00Z") == "in 3 days"
    assert GERMAN.country("DE") == "Germany"


def test_an_unknown_language_is_read_as_english() -> None:
    assert locale_of("xx-nowhere, ;q=0.5, de-AT;q=0.3") == Locale("de", "AT")
    assert locale_of("") == Locale("en")


@pytest.mark.parametrize("path", ["/deals", "/deals/1?why=2", "/events?type=a&source=b"])
def test_signing_in_leads_back_to_a_page_of_ours(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "deals", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/" + "a" * 500]
)
def test_signing_in_never_leads_elsewhere(path: str) -> None:
    assert own_path(path) == "/"


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("held", "Held"),
        ("expense:commission", "Expense: commission"),
        ("expense:special_price", "Expense: special prices"),
        ("payable:fund", "Payable: joint marketing"),
        ("vat:DE", "Value-added tax: Germany"),
        ("withheld:US", "Withheld tax: United States"),
        ("cash:main_bank", "Cash: main bank"),
        ("receivable:fund", "Owed by the partner: joint marketing"),
    ],
)
def test_an_account_of_the_ledger_is_said_in_words(account: str, said: str) -> None:
    page = TEMPLATES.from_string('{% import "parts.html" as parts with context %}{{ parts.account(account) }}')
    assert page.render(account=account, fmt=ENGLISH) == said


def test_every_ground_of_a_dispute_has_its_word_and_no_other_has() -> None:
    words = vars(TEMPLATES.get_template("words.html").module)["GROUND"]
    assert list(words) == list(DISPUTE_GROUNDS)
