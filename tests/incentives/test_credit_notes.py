"""A credit note over HTTP: whoever enters one is told which lines it makes smaller, which it leaves as they are, and why."""

import pytest

from tests.incentives.facts import plan
from tests.incentives.test_service import FINANCE, P1, credited, incentives, won

__all__ = ["incentives"]
NOTE = {"reversal_id": "n1", "amount": "100.00", "currency": "EUR", "reason_code": "credit-note", "on": "2026-03-16"}
HEARS_THE_CRM = (
    "no plan that has paid for this sale hears refunds from billing, so no line changes: a plan on what is invoiced or "
    "collected hears billing, every other one the CRM, unless its reversals_from says otherwise"
)


async def entered(incentives, sale="o1", **changes):
    answer = await incentives.post(FINANCE, f"/sales/{sale}/reverse", {**NOTE, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def invoiced(incentives):
    """A sale of 1,000.00 of which two invoices were written; one plan pays its booking, another one what is invoiced."""
    await incentives.publish_plan(plan(), "booked")
    await incentives.publish_plan(plan(basis="invoiced", component="billed"), "billed")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    fact = {"opportunity_id": "o1", "kind": "invoiced", "currency": "EUR", "on": "2026-03-16"}
    facts = [{**fact, "external_id": "i1", "amount": "400.00"}, {**fact, "external_id": "i2", "amount": "600.00"}]
    assert (await incentives.post(FINANCE, "/sales-facts", {"facts": facts})).status_code == 201


async def test_where_no_plan_hears_billing_the_answer_says_so_and_names_the_lines_that_stay(incentives):
    await incentives.publish_plan(plan())
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    [line] = (await incentives.get(P1, "/lines"))["items"]
    assert await entered(incentives) == {
        "opportunity_id": "o1",
        "win_no": 1,
        "reversal_id": "n1",
        "result": "recorded",
        "asked": {"amount": "100.00", "currency": "EUR"},
        "unearned_months": None,
        "term_months": None,
        "lines": [],
        "unheard": [{"line_id": line["line_id"], "plan_id": "commission", "hears": "crm"}],
        "text": HEARS_THE_CRM,
    }
    assert (await incentives.get(P1, "/lines"))["items"] == [line]


async def test_what_hears_billing_is_smaller_by_its_part_and_the_booking_stays(incentives):
    await invoiced(incentives)
    told = await entered(incentives)
    assert sorted(one["remaining"]["amount"] for one in told["lines"]) == ["36.00", "54.00"]
    assert [one["plan_id"] for one in told["unheard"]] == ["booked"]
    assert told["text"] == "the lines of plans that hear it are smaller by their part"
    lines = (await incentives.get(P1, "/lines?sort=amount"))["items"]
    assert [one["remaining"]["amount"] for one in lines] == ["36.00", "54.00", "100.00"]


async def test_a_credit_note_of_a_known_id_changes_nothing_and_says_what_that_asked(incentives):
    await invoiced(incentives)
    await entered(incentives)
    again = await entered(incentives, amount="200.00")
    assert (again["result"], again["asked"]) == ("repeated", {"amount": "100.00", "currency": "EUR"})
    assert sorted(one["remaining"]["amount"] for one in again["lines"]) == ["36.00", "54.00"]


async def test_the_same_request_again_has_the_same_answer(incentives):
    await invoiced(incentives)
    first, second = [await incentives.post(FINANCE, "/sales/o1/reverse", NOTE, key="note") for _ in range(2)]
    assert first.json()["result"] == "recorded"
    assert first.content == second.content


async def test_what_is_not_known_yet_is_kept_and_said(incentives):
    told = await entered(incentives)
    assert told["text"].startswith("win 1 of this sale is not known: it counts once it is")
    await invoiced(incentives)
    lines = (await incentives.get(P1, "/lines?sort=amount"))["items"]
    assert [one["remaining"]["amount"] for one in lines] == ["30.00", "60.00", "100.00"], "the first that came"
    unknown = await entered(incentives, reversal_id="n2", line_id="i3")
    assert unknown["text"].startswith("it takes nothing: what it names is not known or taken back already")
    assert (await entered(incentives, reversal_id="n3", line_id="i2"))["text"].startswith(
        "the lines of plans that hear"
    )
    late = await entered(incentives, reversal_id="n4", reason_code="refund", on="2026-12-31")
    assert late["text"].endswith("or it comes too late for the plans that hear it")


async def test_months_of_a_term_take_their_part(incentives):
    await invoiced(incentives)
    told = await entered(incentives, amount="0", unearned_months=3, term_months=12)
    assert (told["asked"], told["unearned_months"], told["term_months"]) == (None, 3, 12)
    assert sorted(one["remaining"]["amount"] for one in told["lines"]) == ["30.00", "45.00"]


async def test_a_window_of_a_rebate_hears_it_too_and_has_no_line_that_stands(incentives):
    rebate = {"kind": "rebate", "basis": "invoiced", "accumulate": "year"}
    await incentives.publish_plan(plan(**rebate), "yearly")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    fact = {"opportunity_id": "o1", "kind": "invoiced", "currency": "EUR", "on": "2026-03-16"}
    facts = [{**fact, "external_id": "i1", "amount": "400.00"}]
    assert (await incentives.post(FINANCE, "/sales-facts", {"facts": facts})).status_code == 201
    told = await entered(incentives)
    assert [(one["plan_id"], one["remaining"]) for one in told["lines"]] == [("yearly", None)]
    [window] = (await incentives.get(P1, "/progress"))["items"]
    assert window["measure"] == "300"


async def of_sale(incentives):
    return (await incentives.get(FINANCE, "/sales/o1"))["taken_back"]


async def test_a_sale_says_of_whom_each_credit_note_took_how_much_and_what_it_asked_beyond(incentives):
    await invoiced(incentives)
    await entered(incentives, amount="900.00")
    await entered(incentives, reversal_id="n2", amount="250.00")
    second, first = await of_sale(incentives)

    def of(note):
        told = [(one["plan_id"], one["partner_id"], one["amount"] and one["amount"]["amount"]) for one in note["lines"]]
        return sorted(told, key=str)

    assert of(first) == [("billed", "p1", "36.00"), ("billed", "p1", "54.00"), ("booked", "p1", None)]
    assert of(second) == [("billed", "p1", "4.00"), ("billed", "p1", "6.00"), ("booked", "p1", None)]
    assert (first["beyond"], second["beyond"]) == (
        [],
        [{"basis": "invoiced", "amount": {"amount": "150.00", "currency": "EUR"}}],
    )
    assert {(one["hears"], one["heard"]) for one in first["lines"]} == {("crm", False), ("billing", True)}
    assert {one["remaining"]["amount"] for one in first["lines"]} == {"0.00", "100.00"}
    assert (first["reversal_id"], first["source"], first["asked"]["amount"]) == ("n1", "billing", "900.00")


async def test_what_a_credit_note_takes_of_later_invoices_is_said_and_a_rebate_has_no_amount(incentives):
    await incentives.publish_plan(plan(basis="invoiced", component="billed"), "billed")
    await incentives.publish_plan(plan(kind="rebate", basis="invoiced", accumulate="year"), "yearly")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    await entered(incentives)
    [waits] = await of_sale(incentives)
    assert (waits["lines"], waits["beyond"]) == ([], [])
    assert waits["text"].startswith("nothing has been earned on this sale yet")
    fact = {"opportunity_id": "o1", "kind": "invoiced", "currency": "EUR", "on": "2026-03-16", "external_id": "i1"}
    told = await incentives.post(FINANCE, "/sales-facts", {"facts": [{**fact, "amount": "400.00"}]})
    assert told.status_code == 201
    [note] = await of_sale(incentives)
    took = {one["plan_id"]: (one["amount"] and one["amount"]["amount"], one["remaining"]) for one in note["lines"]}
    assert took == {"billed": ("10.00", {"amount": "30.00", "currency": "EUR"}), "yearly": (None, None)}


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ({"amount": "0"}, "an amount above zero, or the unearned_months"),
        ({"unearned_months": 3, "term_months": 12}, "and not both"),
        ({"amount": "0", "unearned_months": 3}, "go with the term_months"),
        ({"amount": "0", "term_months": 3}, "go with the term_months"),
        ({"amount": "0", "unearned_months": 4, "term_months": 3}, "no more than those"),
        ({"amount": "0", "unearned_months": 0, "term_months": 3}, "an amount above zero, or the unearned_months"),
        ({"currency": "USD"}, "in one currency"),
    ],
)
async def test_a_credit_note_that_asks_nothing_or_makes_no_sense_is_refused(incentives, wrong, because):
    await invoiced(incentives)
    answer = await incentives.post(FINANCE, "/sales/o1/reverse", {**NOTE, **wrong})
    assert (answer.status_code, answer.json()["slug"]) == (422, "sale-invalid")
    assert because in answer.json()["detail"]
