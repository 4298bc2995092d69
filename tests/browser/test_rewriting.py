"""What came back is not a dead end: a request and claims written anew by their partner, and an accepted request amended."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go, go_until
from tests.browser.running import Running

pytestmark = pytest.mark.xdist_group("browser")
MONEY = "/v1/incentives"
ACCEPT = {"outcome": "accepted_as_is"}
QUOTE = "c" * 64


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def asked(it: Running, year: str) -> str:
    """A request of Northwind with a quote and what is expected, submitted."""
    days = {"starts_on": f"{year}-12-30", "ends_on": f"{year}-12-30"}
    items = [
        {"text": "Hall", "amount": euros("600.00"), "quote_sha256": QUOTE},
        {"text": "Catering", "amount": euros("100.00")},
    ]
    plan = {"fund_id": "marketing", "period": year, "activity_type": "event", **days, "items": items}
    who = it.who("northwind")
    made = who.post(f"{MONEY}/fund-requests", {**plan, "expected_leads": 40, "expected_revenue": euros("9000.00")})
    who.post(f"{MONEY}/fund-requests/{made['fund_request_id']}/submit")
    return str(made["fund_request_id"])


def decided(it: Running, request_id: str, *items: dict[str, Any]) -> None:
    it.who("faye").post(f"{MONEY}/fund-requests/{request_id}/decide", {"items": items})


def filled_share(it: Running) -> tuple[str, str]:
    """Northwind with a share of the fund for this year: its id and the year."""
    year = it.anyone.get("/dev/clock")["now"][:4]
    northwind = str(it.who("northwind").get(f"{MONEY}/payees")["items"][0]["partner_id"])
    faye, share = it.who("faye"), {"partner_id": northwind, "period": year, "ref": "rewriting"}
    faye.post(f"{MONEY}/budgets/marketing-{year}/allocate", {"ref": "rewriting", **euros("5000.00")})
    faye.post(f"{MONEY}/funds/marketing/allocate", {**share, "amount": euros("3000.00")})
    return northwind, year


def opens_anew(page: Page, path: str) -> None:
    go_until(page, path, page.get_by_role("link", name="Write it anew")).click()


def test_a_returned_request_is_written_anew_and_once_accepted_amended(browse: Browse, system: Running) -> None:
    _, year = filled_share(system)
    request_id = asked(system, year)
    decided(system, request_id, ACCEPT, {"outcome": "returned", "reason": "name the caterer"})
    path = f"/funds/{request_id}"
    partner = browse("northwind", "/funds", java_script_enabled=False)
    opens_anew(partner, path)
    expect(partner.get_by_text("name the caterer")).to_be_visible()
    for label, value in (("Item 1", "Hall"), ("Leads expected", "40"), ("Revenue expected", "9000.00"), ("Item 3", "")):
        expect(partner.get_by_label(label, exact=True)).to_have_value(value)
    expect(partner.get_by_label("SHA-256 of its quote").nth(0)).to_have_value(QUOTE)
    partner.get_by_label("Item 2").fill("Catering by Ada & Sons")
    partner.get_by_label("To", exact=True).fill(f"{year}-12-01")
    partner.get_by_role("button", name="Send it again").click()
    expect(partner.get_by_role("alert")).to_be_visible()
    expect(partner.get_by_label("Item 2")).to_have_value("Catering by Ada & Sons")
    partner.get_by_label("To", exact=True).fill(f"{year}-12-31")
    partner.get_by_role("button", name="Send it again").click()
    expect(partner.get_by_text("Your request was sent.")).to_be_visible()
    amends(browse, system, partner, request_id)


def amends(browse: Browse, system: Running, partner: Page, request_id: str) -> None:
    path = f"/funds/{request_id}"
    decided(system, request_id, ACCEPT, ACCEPT)
    go_until(partner, path, partner.get_by_role("link", name="Amend it")).click()
    partner.get_by_label("Costs").nth(1).fill("250")
    partner.get_by_label("Why it changes").fill("more guests")
    partner.get_by_role("button", name="Ask for the change").click()
    expect(partner.get_by_text("You asked for the change.")).to_be_visible()
    vendor = browse("faye", "/funds", java_script_enabled=False)
    row = go_until(vendor, path, vendor.locator("tr", has_text="Catering by Ada & Sons").filter(has_text="€250.00"))
    expect(row).to_be_visible()
    found = system.who("faye").get(f"{MONEY}/fund-requests/{request_id}")["details"]
    assert found["items"][0]["quote_sha256"] == QUOTE
    assert (found["expected_leads"], found["expected_revenue"]) == (40, euros("9000.00"))


def test_a_returned_fund_claim_is_written_anew_with_all_its_proofs(browse: Browse, system: Running) -> None:
    _, year = filled_share(system)
    request_id = asked(system, year)
    decided(system, request_id, ACCEPT, ACCEPT)
    claim_id = claimed(system, {"kind": "fund", "of_id": request_id, **costs(year)}, "the photo shows another hall")
    path = f"/claims/{claim_id}"
    partner = browse("northwind", "/funds", java_script_enabled=False)
    opens_anew(partner, path)
    expect(partner.get_by_text("the photo shows another hall")).to_be_visible()
    expect(partner.locator('select[name="kind_2"]')).to_have_value("photo")
    files = partner.get_by_label("SHA-256 of the file")
    files.nth(1).fill("")
    partner.get_by_role("button", name="Send it again").click()
    expect(partner.get_by_role("alert")).to_be_visible()
    expect(partner.get_by_label("Issued by").nth(1)).to_have_value("Hall Ltd")
    files.nth(1).fill("f" * 64)
    partner.get_by_label("Amount", exact=True).nth(0).fill("650")
    partner.get_by_role("button", name="Send it again").click()
    expect(partner.get_by_text("Your claim was sent.")).to_be_visible()
    vendor = browse("faye", "/funds", java_script_enabled=False)
    expect(go_until(vendor, path, vendor.get_by_role("heading", name="Claim of €650.00"))).to_be_visible()
    for kept in ("d" * 64, "f" * 64, "Tax charged on it in DE: €114.00"):
        expect(vendor.get_by_text(kept)).to_be_visible()


def costs(year: str) -> dict[str, Any]:
    proof = {"issuer": "Hall Ltd", "number": f"R-{year}", "amount": euros("600.00"), "issued_on": f"{year}-12-30"}
    proofs = [
        {**proof, "kind": "invoice", "proof_sha256": "d" * 64},
        {**proof, "kind": "photo", "number": "P-1", "proof_sha256": "e" * 64},
    ]
    tax = {"country": "DE", "amount": euros("114.00")}
    return {"items": [{"text": "The event", "amount": euros("600.00")}], "proofs": proofs, "tax": tax}


def claimed(it: Running, body: dict[str, Any], returned: str) -> str:
    """A claim of Northwind that came back."""
    claim_id = str(it.who("northwind").post(f"{MONEY}/claims", body)["claim_id"])
    it.who("northwind").post(f"{MONEY}/claims/{claim_id}/submit")
    it.who("faye").post(f"{MONEY}/claims/{claim_id}/decide", {"outcome": "returned", "reason": returned})
    return claim_id


def test_a_returned_claim_of_a_special_price_is_written_anew_for_the_same_customer(
    browse: Browse, system: Running
) -> None:
    northwind, _ = filled_share(system)
    today = system.anyone.get("/dev/clock")["now"][:10]
    product = {"sku": "SW-9", "cost": euros("100"), "price": euros("80"), "units_max": 9}
    days = {"starts_on": today, "ends_on": "2099-12-31", "reason": "a bid"}
    bid = {"partner_id": northwind, "kind": "bid", "customer_domain": "saege.de", "products": [product], **days}
    price_id = system.who("faye").post(f"{MONEY}/special-prices", bid)["special_price_id"]
    sold = {"sku": "SW-9", "quantity": 2, "sold_on": today, "invoice": "S-1", "customer_domain": "saege.de"}
    row = {"text": "2 SW-9", "amount": euros("40.00"), "sold": sold}
    claim_id = claimed(system, {"kind": "special_price", "of_id": price_id, "items": [row]}, "the invoice says three")
    partner = browse("northwind", "/funds", java_script_enabled=False)
    opens_anew(partner, f"/claims/{claim_id}")
    expect(partner.get_by_label("or invoice").nth(0)).to_have_value("S-1")
    partner.get_by_label("Pieces").nth(0).fill("3")
    partner.get_by_label("Difference").nth(0).fill("60")
    partner.get_by_role("button", name="Send it again").click()
    expect(partner.get_by_text("Your claim was sent.")).to_be_visible()
    vendor = browse("faye", "/funds", java_script_enabled=False)
    go_until(vendor, f"/claims/{claim_id}", vendor.get_by_role("heading", name="Claim of €60.00"))
    vendor.get_by_role("button", name="Decide").click()
    expect(vendor.locator("ol.reasons")).to_contain_text("3 SW-9 x (")
    gone = browse("northwind", f"/claims/{claim_id}", java_script_enabled=False)
    expect(gone.get_by_role("link", name="Write it anew")).to_have_count(0)
    go(gone, f"/claims/{claim_id}/rewrite")
    expect(gone.get_by_text("It cannot be changed now")).to_be_visible()
