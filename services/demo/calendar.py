"""The quarter under way: which day it is, who is who, and which registration is which deal of the story."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from services.demo.office import Office
from services.demo.story import WEEKS, WEEKS_AFTER, Deal, Story

DEALS = "/v1/registration/deals"
TUESDAY, THURSDAY, FRIDAY = 1, 3, 4


@dataclass
class Quarter:
    """The story under way: the plan of each deal by its registration, and the id of each partner by its name."""

    office: Office
    story: Story
    begins: date
    ids: dict[str, str]
    known: dict[str, Deal] = field(default_factory=dict)

    def day(self, week: int, weekday: int) -> date:
        """A day of a week of the quarter; Monday is 0."""
        return self.begins + timedelta(weeks=week - 1, days=weekday)

    @property
    def last_period(self) -> str:
        """The last month that is stated before the story ends."""
        return f"{self.day(WEEKS + WEEKS_AFTER, THURSDAY).replace(day=1) - timedelta(days=1):%Y-%m}"

    async def recall(self) -> None:
        """Finds out which deals were registered before."""
        names = {partner_id: name for name, partner_id in self.ids.items()}
        planned = {
            (deal.partner.name, deal.customer.name, deal.customer.country.code): deal for deal in self.story.deals
        }
        for row in await self.office.rows("ada", DEALS):
            found = planned.get((names.get(row["partner_id"], ""), row["customer"], row["country"]))
            if found:
                self.known[row["registration_id"]] = found
