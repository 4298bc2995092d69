"""Incentives put together: its settings and `build`."""

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from chassis.bulk_work import Bulk
from chassis.holidays import written_out_in
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from contracts.business_time import HOLIDAYS_MAX
from services.incentives.access import ACCESS
from services.incentives.adapters.payments import Faults, FileBank, Simulator
from services.incentives.api import (
    backtests,
    batches,
    books,
    cases,
    claims,
    disputes,
    earnings,
    exports,
    facts,
    funds,
    imports,
    mergers,
    payees,
    payments,
    proofs,
    recognition,
    shadow_plans,
    special_prices,
    tiers,
)
from services.incentives.api.asking import MAY_ASK
from services.incentives.application import HANDLES, KINDS
from services.incentives.application.bank_numbers import bank_code, bank_number, iban_number
from services.incentives.application.books import source_of
from services.incentives.domain.bank_account import BIC, BankAccount
from services.incentives.domain.explaining import EXPLAIN, WEIGH, disclose
from services.incentives.domain.payee_events import PaperForgotten
from services.incentives.domain.payment_rules import PAYMENT_RULES
from services.incentives.projections.abuse_looks import ABUSE_LOOKS
from services.incentives.projections.askings import ASKINGS
from services.incentives.projections.attentions import attentions
from services.incentives.projections.batches import BATCHES
from services.incentives.projections.budgets import BUDGETS
from services.incentives.projections.cases import CASES
from services.incentives.projections.claims import CLAIMS
from services.incentives.projections.contradictions import CONTRADICTIONS
from services.incentives.projections.corrections import CORRECTIONS
from services.incentives.projections.dispute_dues import DISPUTE_DUES
from services.incentives.projections.disputes import DISPUTES
from services.incentives.projections.earnings import EARNINGS
from services.incentives.projections.forfeitures import FORFEITURES
from services.incentives.projections.fund_accruals import ACCRUALS, FUND_ACCRUALS
from services.incentives.projections.fund_dues import (
    AWARD_SETTLEMENTS,
    CLAIM_INSTALMENTS,
    CLAIM_SETTLEMENTS,
    FUND_CLAIMS_DUE,
    FUND_PERIODS,
)
from services.incentives.projections.fund_requests import FUND_REQUESTS
from services.incentives.projections.funds import FUNDS
from services.incentives.projections.ledger import BALANCES, LEDGER, TRIAL_BALANCE
from services.incentives.projections.liability import DAY_BALANCES
from services.incentives.projections.mergers import MERGERS, TRANSFERS
from services.incentives.projections.missed_awards import MISSED_AWARDS
from services.incentives.projections.open_sales import OPEN_SALES
from services.incentives.projections.paid_years import PAID_YEARS
from services.incentives.projections.payee_gates import PAYEE_GATES
from services.incentives.projections.payments import PAYMENTS
from services.incentives.projections.progress import PROGRESS
from services.incentives.projections.provider_calls import provider_calls, unreported
from services.incentives.projections.recognition import RECOGNITION
from services.incentives.projections.releases import RELEASES
from services.incentives.projections.sales import SALES
from services.incentives.projections.settlements import RUN_OFFS, SETTLEMENTS
from services.incentives.projections.special_prices import SPECIAL_PRICES
from services.incentives.projections.statement_days import STATEMENT_DAYS
from services.incentives.projections.statements import STATEMENTS
from services.incentives.projections.tier_figures import TIER_FIGURES
from services.incentives.projections.tiers import TIER_DUES, TIERS
from services.incentives.projections.windows import RESUMED_WINDOWS, WAITING_WINDOWS, WINDOWS
from services.incentives.projections.write_offs import WRITE_OFFS
from services.incentives.publishing import publish
from services.incentives.reactions import REACTIONS

Percent = Field(default=0, ge=0, le=100)


class Settings(ServiceSettings):
    """Who moves the money; how often the simulated provider misbehaves, in percent of references, by which seed; who pays.

    With `file` payments stand in files that somebody brings to a bank, and its reports say what became of them; finance is
    asked to look where none has come for `provider_report_days`.
    """

    provider: Literal["simulator", "file"] = "simulator"
    provider_seed: int = 1
    provider_late_percent: int = Percent
    provider_twice_percent: int = Percent
    provider_unknown_percent: int = Percent
    provider_lost_percent: int = Percent
    provider_rejected_percent: int = Percent
    provider_never_percent: int = Percent
    provider_contradicting_percent: int = Percent
    provider_returned_percent: int = Percent
    provider_report_days: int = Field(default=5, ge=1, le=60, description="a person is asked to look after so many")
    provider_secret: SecretStr | None = None
    payer_name: str = "Vendor"
    payer_iban: str = Field(
        default="", pattern="^([A-Z]{2}[0-9]{2}[A-Z0-9]{10,30})?$", description="an IBAN without spaces"
    )
    payer_number: str = Field(
        default="", pattern="^[A-Z0-9]{0,34}$", description="the account's number, in a country without IBANs"
    )
    payer_bank: str = Field(
        default="",
        pattern=f"^({BIC}|[A-Z]{{5}} [A-Z0-9]{{3,12}})?$",
        description="its bank: a BIC, or its number in a clearing system, such as `USABA 111000025`",
    )

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        if bool(self.payer_number) != bool(self.payer_bank) or (self.payer_number and self.payer_iban):
            raise ValueError(
                "the payer's account is an IBAN, or a number and a bank: payer_iban, payer_number, payer_bank"
            )
        return self

    @field_validator("payer_bank")
    @classmethod
    def _a_bank(cls, bank: str) -> str:
        """Checked as a payee's is: a slip of a hand would be found by the bank that refuses the first file."""
        clearing, _, number = bank.rpartition(" ")
        if clearing:
            bank_number(clearing, number)
        else:
            bank_code(number)
        return bank

    @field_validator("payer_iban")
    @classmethod
    def _an_iban(cls, account: str) -> str:
        return iban_number(account) if account else account


BLUEPRINT = Blueprint(
    declared_in=__name__,
    name="incentives",
    handles=HANDLES,
    access=ACCESS,
    routers=(
        exports.router,
        earnings.router,
        facts.router,
        books.router,
        payees.router,
        mergers.router,
        payments.router,
        disputes.router,
        batches.router,
        proofs.router,
        backtests.router,
        shadow_plans.router,
        funds.router,
        claims.router,
        special_prices.router,
        tiers.router,
        recognition.router,
        cases.router,
    ),
    publish=publish,
    projections=(
        EARNINGS,
        SALES,
        OPEN_SALES,
        LEDGER,
        BALANCES,
        DAY_BALANCES,
        TRIAL_BALANCE,
        PROGRESS,
        BUDGETS,
        STATEMENTS,
        PAYMENTS,
        PAYEE_GATES,
        PAID_YEARS,
        BATCHES,
        DISPUTES,
        WRITE_OFFS,
        FUNDS,
        ACCRUALS,
        FUND_REQUESTS,
        CLAIMS,
        SPECIAL_PRICES,
        MISSED_AWARDS,
        TIERS,
        RECOGNITION,
        CASES,
        SETTLEMENTS,
        MERGERS,
    ),
    reactions=REACTIONS,
    deadlines=(
        RELEASES,
        WINDOWS,
        WAITING_WINDOWS,
        RESUMED_WINDOWS,
        STATEMENT_DAYS,
        DISPUTE_DUES,
        CORRECTIONS,
        FUND_ACCRUALS,
        FUND_PERIODS,
        FUND_CLAIMS_DUE,
        CLAIM_INSTALMENTS,
        CLAIM_SETTLEMENTS,
        AWARD_SETTLEMENTS,
        TIER_DUES,
        TIER_FIGURES,
        ABUSE_LOOKS,
        CONTRADICTIONS,
        attentions(publish),
        ASKINGS,
        FORFEITURES,
        RUN_OFFS,
        TRANSFERS,
    ),
    kinds={**KINDS, PAYMENT_RULES.name: replace(PAYMENT_RULES, complete=written_out_in("calendar", HOLIDAYS_MAX))},
    explain=EXPLAIN,
    disclose=disclose,
    may_ask=MAY_ASK,
    source=source_of,
    weigh=WEIGH,
    bulk=Bulk(at="/imports", kinds=(imports.SALES_FACTS,)),
    forgets={PaperForgotten: lambda forgotten: forgotten.paper_id},
)


def build(settings: Settings, world: World) -> Service:
    """The service on the stores, transport and payment provider that the settings name."""
    provider = provider_of(settings)
    if settings.provider_secret:
        provider.secret = settings.provider_secret.get_secret_value().encode()
    deadlines = (*BLUEPRINT.deadlines, provider_calls(provider), unreported(settings.provider_report_days))
    return assemble(replace(BLUEPRINT, deadlines=deadlines), settings, world, ports=provider)


def provider_of(settings: Settings) -> Simulator | FileBank:
    """Who moves the money."""
    if settings.provider == "file":
        return FileBank(payer_of(settings))
    transfers = settings.data / "payment_provider" / "transfers.db"
    return Simulator(transfers, faults_of(settings), payer_of(settings))


def payer_of(settings: Settings) -> BankAccount:
    """The account that payments are drawn on, as far as it is named."""
    named = BankAccount(number=settings.payer_iban or settings.payer_number, holder=settings.payer_name)
    clearing, _, number = settings.payer_bank.rpartition(" ")
    return replace(named, clearing=clearing, clearing_number=number) if clearing else replace(named, bic=number)


def faults_of(settings: Settings) -> Faults:
    return Faults(
        seed=settings.provider_seed,
        late_percent=settings.provider_late_percent,
        twice_percent=settings.provider_twice_percent,
        unknown_percent=settings.provider_unknown_percent,
        lost_percent=settings.provider_lost_percent,
        rejected_percent=settings.provider_rejected_percent,
        never_percent=settings.provider_never_percent,
        contradicting_percent=settings.provider_contradicting_percent,
        returned_percent=settings.provider_returned_percent,
    )
