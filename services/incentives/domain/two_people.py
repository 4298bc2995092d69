"""Four eyes: what moves money takes two steps, by two people."""

from chassis.decider import Refused


class FourEyes(Refused):
    """Whoever took the first step cannot take the second: ask another person."""

    status = 403
    slug = "four-eyes"
