"""The form of a draft: what it cannot show of a registration is kept when it is sent."""

from typing import Any

from services.gateway.api.portal.drafts import beside, filled, merged

VAT = {"scheme": "vat", "value": "DE136695976", "country": "DE"}
LEI = {"scheme": "lei", "value": "529900T8BM49AURSDO55"}
DRAFT: dict[str, Any] = {
    "customer": {
        "name": "Siemens",
        "country": "DE",
        "website": "siemens.com",
        "identifiers": [VAT, LEI],
        "trade_names": ["Siemens AG"],
        "street": "Werner-von-Siemens-Str. 1",
    },
    "products": [{"family": "cloud", "sku": "100", "quantity": 5}, {"family": "cloud", "sku": "200"}, {"sku": "x-1"}],
    "amount": {"amount": "10.00", "currency": "EUR"},
    "contacts": [{"name": "Ada"}],
}


def form(**changes: Any) -> dict[str, Any]:
    """The form as it is sent when it was only looked at."""
    customer = {"name": "Siemens", "country": "DE", "website": "siemens.com", "identifiers": []}
    return {"customer": customer, "products": [{"family": "cloud"}, {"family": "x-1"}], "amount": None, **changes}


def test_a_draft_that_is_only_looked_at_keeps_every_name_identifier_and_line() -> None:
    sent = merged(DRAFT, form())

    assert sent["customer"] == DRAFT["customer"]
    assert sent["products"] == DRAFT["products"]


def test_what_the_form_showed_is_replaced_and_the_rest_stays() -> None:
    named = {"name": "Siemens AG", "country": "DE", "identifiers": [{"scheme": "duns", "value": "316067164"}]}

    customer = merged(DRAFT, form(customer=named))["customer"]

    assert "website" not in customer
    assert customer["name"] == "Siemens AG"
    assert customer["identifiers"] == [{"scheme": "duns", "value": "316067164"}, VAT, LEI]
    assert customer["trade_names"] == ["Siemens AG"]


def test_an_identifier_that_was_shown_is_kept_with_its_country_or_replaced() -> None:
    unsited = {**DRAFT, "customer": {"name": "Siemens", "country": "AT", "identifiers": [VAT, LEI]}}
    told = {"name": "Siemens", "country": "AT"}
    values, _ = filled(unsited)
    assert (values["known_by"], values["scheme"]) == (VAT["value"], "vat")

    same = {**told, "identifiers": [{"scheme": "vat", "value": VAT["value"]}]}
    assert merged(unsited, form(customer=same))["customer"]["identifiers"] == [VAT, LEI]
    other = {**told, "identifiers": [{"scheme": "vat", "value": "ATU12345675"}]}
    changed = merged(unsited, form(customer=other))["customer"]["identifiers"]
    assert changed == [{"scheme": "vat", "value": "ATU12345675"}, LEI]
    site = {**told, "website": "siemens.at", "identifiers": []}
    assert merged(unsited, form(customer=site))["customer"] == {**told, "website": "siemens.at", "identifiers": [LEI]}


def test_a_product_that_is_chosen_no_more_goes_with_its_lines() -> None:
    assert merged(DRAFT, form(products=[{"family": "x-1"}, {"family": "edge"}]))["products"] == [
        {"sku": "x-1"},
        {"family": "edge"},
    ]


def test_what_the_form_cannot_show_is_named() -> None:
    assert beside(DRAFT) == ["trade_names", "street", "further_identifiers", "contacts"]
    assert beside({"customer": {"name": "Siemens", "identifiers": [VAT]}, "amount": None}) == []
    assert filled(DRAFT)[1] == ["cloud", "x-1"]
