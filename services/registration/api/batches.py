"""Deals from a file: what a row says, and how it is tried, registered and withdrawn, as the same commands as one by one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from chassis.application import Application
from chassis.bulk import Remark
from chassis.bulk_work import BulkKind, Made
from chassis.decider import Problem
from chassis.execution import Peek
from chassis.http import Caller
from chassis.rulebook import Rules
from services.registration.api.asking import question_of, submission
from services.registration.api.bodies import RegisterBody
from services.registration.application.on_deals import Asked, on_deal
from services.registration.application.registering import Submission, asked_for, prepare_registration
from services.registration.domain.account_key import own_keys
from services.registration.domain.availability import (
    NEEDS_REVIEW,
    NOT_ELIGIBLE,
    TAKEN,
    CheckCustomer,
    Checks,
    DayOfChecks,
    TooManyChecks,
)
from services.registration.domain.deal import Deal, Deals, Incomplete, Status
from services.registration.domain.deal_commands import RegisterDeal, WithdrawDeal
from services.registration.domain.disclosure import tells_of_others
from services.registration.domain.screening import DEAL_RULES

IMPORT_UNDONE = "import-undone"
LIST = ";"
SCHEMES = ("vat", "lei", "duns", "registry", "tax")
YES = ("yes", "true", "1", "x")

# Column: where it stands in the body of a registration, and a word on it. Identifiers, products and the contact are
# lists there and have columns of their own here.
PLACES: dict[str, tuple[tuple[str, ...], str]] = {
    "customer": (("customer", "name"), "name of the customer"),
    "country": (("customer", "country"), "its country, two letters of ISO 3166-1"),
    "website": (("customer", "website"), "its website; this or an identifier is needed"),
    "region": (("customer", "region"), "state or province, in the US and Canada"),
    "postcode": (("customer", "postcode"), "postcode"),
    "street": (("customer", "street"), "street and number"),
    "natural_person": (("customer", "natural_person"), "yes for a person, whose name is then sealed"),
    "amount": (("amount", "amount"), "amount, with a dot before the cents"),
    "currency": (("amount", "currency"), "currency, three letters of ISO 4217"),
    "close_on": (("close_on",), "close date, as 2026-03-31; 90 days from now if empty"),
    "role": (("role",), "referral, resell, distribute, service or influence"),
    "deal_type": (("deal_type",), "new, expansion or renewal"),
    "scope": (("scope",), "site, entity or group"),
    "partner_id": (("partner_id",), "whose deal it is, where the vendor imports"),
    "programme": (("programme",), "programme, if not the default one"),
    "confidential": (("confidential",), "yes where neither website nor identifier may be told"),
    "description": (("description",), "what it is about, 20 to 2,000 characters"),
    "tender": (("tender",), "none, planned or published"),
    "tender_on": (("tender_on",), "date of the tender"),
    "partner_reference": (("partner_reference",), "the partner's own number"),
    "price_reference": (("price_reference",), "number of a special price"),
    "fund_reference": (("fund_reference",), "number of a fund request"),
    "crm_reference": (("crm_reference",), "number in the CRM"),
}
CONTACT = {
    "contact_name": ("name", "a person at the customer"),
    "contact_title": ("title", "that person's title"),
    "contact_email": ("email", "e-mail"),
    "contact_phone": ("phone", "telephone, as +49301234"),
    "contact_consent": ("consent", "yes where the person agreed to be called"),
}
COLUMNS = {
    **{name: means for name, (_, means) in PLACES.items()},
    "products": f"families, or family/SKU, with {LIST} between them",
    **{scheme: f"{scheme.upper()} number, instead of the website or beside it" for scheme in SCHEMES},
    **{name: means for name, (_, means) in CONTACT.items()},
}
FLAGS = ("natural_person", "confidential", "contact_consent")
COLUMN_OF: dict[tuple[str, ...], str] = {
    **{place: name for name, (place, _) in PLACES.items()},
    **{("contacts", field): name for name, (field, _) in CONTACT.items()},
    ("amount",): "amount",
    ("customer",): "region",
    (): "website",
}


# What a row says


def body_of(values: dict[str, Any]) -> RegisterBody:
    """The registration that a row is: the cells of a table by column, or a body as `POST /deals` takes it.

    Raises Incomplete naming the columns, or the fields, that do not fit.
    """
    flat = not any(isinstance(value, dict | list) for value in values.values())
    try:
        return RegisterBody.model_validate(from_cells(values) if flat else values)
    except ValidationError as error:
        faults = [_fault(one["loc"], one["type"], one["msg"], values, flat=flat) for one in error.errors()]
        raise Incomplete(faults[0]["message"], errors=faults) from error


def from_cells(cells: dict[str, Any]) -> dict[str, Any]:
    """The body of a registration from the cells of a row; a column that there is not stays where it is, and is refused."""
    body: dict[str, Any] = {"customer": {}}
    for name, value in cells.items():
        if name in PLACES:
            *above, last = PLACES[name][0]
            within = body.setdefault(above[0], {}) if above else body
            within[last] = _flag(value) if name in FLAGS else value
        elif name not in COLUMNS:
            body[name] = value
    body["customer"]["identifiers"] = [{"scheme": one, "value": cells[one]} for one in SCHEMES if one in cells]
    body["products"] = [_product(word) for word in _words(cells.get("products", ""))]
    contact = {field: _flag(cells[n]) if n in FLAGS else cells[n] for n, (field, _) in CONTACT.items() if n in cells}
    return {**body, **({"contacts": [contact]} if contact else {})}


def _flag(value: Any) -> bool:
    return str(value).lower() in YES


def _words(text: Any) -> list[str]:
    return [word.strip() for word in str(text).split(LIST) if word.strip()]


def _product(word: str) -> dict[str, str]:
    family, _, sku = word.partition("/")
    return {"family": family, "sku": sku} if sku else {"family": family}


def _fault(loc: Iterable[Any], kind: str, text: str, values: dict[str, Any], *, flat: bool) -> dict[str, str]:
    path = tuple(str(part) for part in loc)
    column = column_of(path, values) if flat else ".".join(path)
    return {"path": column, "code": kind.replace("_", "-"), "message": text}


def column_of(path: tuple[str, ...], cells: dict[str, Any]) -> str:
    """The column of a table that a path in the body comes from."""
    if path[:2] == ("customer", "identifiers"):
        given = [scheme for scheme in SCHEMES if scheme in cells]
        return given[int(path[2])] if len(path) > 2 else "website"  # noqa: PLR2004  the place in the list
    if path[:1] == ("products",):
        return "products"
    named = tuple(part for part in path if not part.isdigit())
    return COLUMN_OF.get(named, named[-1] if named else "")


def _submission(app: Application, caller: Caller, values: dict[str, Any]) -> Submission:
    """As a registration by itself is read; what libraries find wrong is told by column too."""
    app.access.check(caller.principal, RegisterDeal)
    body = body_of(values)
    try:
        return submission(body, caller, app)
    except Incomplete as error:
        raise _by_column(error, values) from error


def _by_column(error: Incomplete, values: dict[str, Any]) -> Incomplete:
    if any(isinstance(value, dict | list) for value in values.values()):
        return error
    told = [{**one, "path": column_of(tuple(one["path"].split(".")), values)} for one in error.fields["errors"]]
    return Incomplete(error.detail, errors=told)


# What is done with a row

ASKED_AS = {Status.WAITING.value: TAKEN, Status.REJECTED.value: NOT_ELIGIBLE}
UNTOLD = Made(remarks=(Remark(code=TooManyChecks.slug, text="Where it would stand is told when it is registered."),))


async def rehearse(app: Application, caller: Caller, values: dict[str, Any]) -> Made:
    """Where the deal would stand if it were registered now."""
    wish = _submission(app.in_passing(), caller, values)
    verdict = await app.executor.rehearse(caller.tenant, _registering(app, caller, wish))
    if verdict.refusal:
        raise _by_column(verdict.refusal, values) if isinstance(verdict.refusal, Incomplete) else verdict.refusal
    would_be = Made(outcome=verdict.answer["status"], remarks=_reasons(verdict.answer))
    return would_be if caller.principal.kind != "partner" else await _as_checked(app, caller, wish, would_be)


async def _as_checked(app: Application, caller: Caller, wish: Submission, would_be: Made) -> Made:
    """What a partner reads of it: a row that tells of others is one of its checks of the day, and is one of no more.

    A file of ten thousand customers would else be as many questions which of them is taken. Where none is left, no row
    tells where it would stand: else what is left untold would say that somebody else is there.
    """
    asked = _question(app, caller, wish, would_be)
    try:
        if _tells_of_others(would_be):
            await app.executor.run(replace(caller.order(), command_id=asked.check_id, expected_version=None), asked)
            return would_be
    except TooManyChecks:
        return UNTOLD
    day: DayOfChecks = await app.executor.peek(caller.tenant)(Checks.at(asked.day))
    return would_be if day.left else UNTOLD


def _tells_of_others(would_be: Made) -> bool:
    """Whether it says anything of others; also where the rules keep the reasons to themselves."""
    codes = {one.code for one in would_be.remarks}
    in_silence = not codes and would_be.outcome != Status.APPROVED.value
    return in_silence or would_be.outcome == Status.WAITING.value or tells_of_others(codes)


def _question(app: Application, caller: Caller, wish: Submission, would_be: Made) -> CheckCustomer:
    """The row as the question that it is, once a day however often it is asked."""
    return CheckCustomer(
        check_id=question_of(wish, lambda text: app.keys.hmac(caller.tenant, text)),
        partner_id=wish.partner_id,
        availability=ASKED_AS.get(would_be.outcome, NEEDS_REVIEW),
        free_from=None,
        now=wish.now,
    )


async def register(app: Application, caller: Caller, values: dict[str, Any]) -> Made:
    """Registers the deal."""
    wish = _submission(app, caller, values)
    done = await app.executor.run(caller.order(), _registering(app, caller, wish), asked_for(wish))
    answer = done.answer
    made = {"id": answer["registration_id"], "number": answer["number"], "outcome": answer["status"]}
    return Made(**made, remarks=_reasons(answer))


def _registering(app: Application, caller: Caller, wish: Submission) -> Any:
    async def make(peek: Peek) -> RegisterDeal:
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, wish)

    return make


def _reasons(answer: dict[str, Any]) -> tuple[Remark, ...]:
    return tuple(Remark(code=one["code"], text=one["text"]) for one in answer["reasons"])


async def customer_of(app: Application, caller: Caller, values: dict[str, Any]) -> frozenset[str]:
    """The keys of the row's customer, and the partner's slots where the rules count them."""
    try:
        wish = _submission(app.in_passing(), caller, values)
    except Problem:
        return frozenset()  # it is refused anyway, and changes nothing
    keys = frozenset(key.identity for key in own_keys(wish.customer))
    book = (await app.executor.peek(caller.tenant)(Rules.at(wish.programme))).in_force(wish.now)
    counted = book is not None and DEAL_RULES.read(book.body).counts_open
    return keys | {wish.partner_id} if counted else keys


async def accounts_of(app: Application, caller: Caller, registration_id: str) -> frozenset[str]:
    """The customers whose claims the deal is among."""
    deal: Deal = await app.executor.peek(caller.tenant)(Deals.at(registration_id))
    return frozenset(deal.accounts)


async def withdraw(app: Application, caller: Caller, registration_id: str) -> Made:
    """Withdraws the deal; one that is withdrawn already is as it should be."""
    deal: Deal = await app.executor.peek(caller.tenant)(Deals.at(registration_id))
    if deal.status == Status.WITHDRAWN:
        return Made(outcome=deal.status.value)
    asked = Asked(registration_id=registration_id, now=app.clock.now(), allow=_own(app, caller))

    def make(_: Deal, fields: dict[str, Any]) -> WithdrawDeal:
        return WithdrawDeal(**fields, reason_code=IMPORT_UNDONE, by=caller.principal.by)

    done = await app.executor.run(caller.order(), on_deal(asked, make))
    return Made(outcome=done.answer["status"])


def _own(app: Application, caller: Caller) -> Any:
    return lambda partner_id: app.access.check(caller.principal, WithdrawDeal, partner_id)


DEALS = BulkKind(
    name="deals",
    columns=COLUMNS,
    action=RegisterDeal,
    rehearse=rehearse,
    apply=register,
    undo=withdraw,
    about=customer_of,
    about_made=accounts_of,
)
