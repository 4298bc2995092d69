"""How long and how many each field of a registration may be, and what it is where nobody says it."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.registration.api.bodies import RegisterBody

CUSTOMER: dict[str, Any] = {"name": "Contoso GmbH", "country": "DE", "website": "contoso.com"}
DEAL: dict[str, Any] = {
    "customer": CUSTOMER,
    "products": [{"family": "cloud"}],
    "amount": {"amount": "1.00", "currency": "EUR"},
}
HASH, MIB_25 = "a" * 64, 26_214_400
VAT = {"scheme": "vat", "value": "DE136695976"}
ANN = {"name": "Ann"}
LETTER = {"kind": "letter", "dated_on": "2026-03-01", "sha256": HASH}


def customer(**changes: Any) -> dict[str, Any]:
    return {"customer": {**CUSTOMER, **changes}}


def contact(**changes: Any) -> dict[str, Any]:
    return {"contacts": [{**ANN, **changes}]}


def product(**changes: Any) -> dict[str, Any]:
    return {"products": [{"family": "cloud", **changes}]}


def evidence(**changes: Any) -> dict[str, Any]:
    return {"evidence": [{**LETTER, **changes}]}


@pytest.mark.parametrize(
    ("most", "too_much"),
    [
        (customer(name="x" * 120), customer(name="x" * 121)),
        (customer(name="x"), customer(name=" ")),
        (customer(trade_names=["x"] * 5), customer(trade_names=["x"] * 6)),
        (customer(postcode="1" * 12), customer(postcode="1" * 13)),
        (customer(street="x" * 120), customer(street="x" * 121)),
        (customer(identifiers=[VAT] * 10), customer(identifiers=[VAT] * 11)),
        (customer(identifiers=[VAT]), customer(identifiers=[{**VAT, "scheme": "shoe_size"}])),
        (customer(country="CA", region="CA-ON"), customer(country="CA")),
        (product(quantity=1), product(quantity=0)),
        (product(quantity=1_000_000), product(quantity=1_000_001)),
        ({"products": [{"family": "cloud"}] * 50}, {"products": [{"family": "cloud"}] * 51}),
        ({"contacts": [ANN] * 5}, {"contacts": [ANN] * 6}),
        (contact(title="x" * 120), contact(title="x" * 121)),
        (contact(phone="+4930123456"), contact(phone="030 123456")),
        (contact(email="ann@contoso.com"), contact(email="ann")),
        ({"description": "x" * 20}, {"description": "x" * 19}),
        ({"description": "x" * 2_000}, {"description": "x" * 2_001}),
        ({"partner_reference": "x" * 64}, {"partner_reference": "x" * 65}),
        ({"price_reference": "x" * 64}, {"price_reference": "x" * 65}),
        ({"fund_reference": "x" * 64}, {"fund_reference": "x" * 65}),
        ({"crm_reference": "x" * 64}, {"crm_reference": "x" * 65}),
        ({"evidence": [LETTER] * 20}, {"evidence": [LETTER] * 21}),
        (evidence(size_bytes=MIB_25), evidence(size_bytes=MIB_25 + 1)),
        (evidence(kind="note"), evidence(kind="rumour")),
        (evidence(sha256=HASH), evidence(sha256="a" * 63)),
        ({"role": "influence"}, {"role": "friend"}),
        ({"deal_type": "renewal"}, {"deal_type": "gift"}),
        ({"scope": "group"}, {"scope": "planet"}),
        ({"tender": "planned"}, {"tender": "won"}),
        ({"confidential": True, **customer(website=None)}, customer(website=None)),
    ],
)
def test_a_field_of_a_registration_takes_so_much_and_no_more(most: dict[str, Any], too_much: dict[str, Any]) -> None:
    RegisterBody.model_validate({**DEAL, **most})
    with pytest.raises(ValidationError):
        RegisterBody.model_validate({**DEAL, **too_much})


def test_what_nobody_says_of_a_deal_is_new_business_with_the_entity_and_one_of_each_product() -> None:
    deal = RegisterBody.model_validate(DEAL)
    assert (deal.deal_type, deal.scope, deal.products[0].quantity, deal.confidential) == ("new", "entity", 1, False)
