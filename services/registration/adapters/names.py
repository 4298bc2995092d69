"""Company names in normal form, and how alike two of them are.

Normal form: NFKC, case-fold, transliterate, punctuation to space, & to and, legal forms off to a fixpoint. A name in
another script keeps that script as a second name.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

from anyascii import anyascii

LEGAL_FORMS = frozenset(
    (
        *(
            "ab",
            "ad",
            "ag",
            "aktiengesellschaft",
            "amba",
            "anonyme",
            "ans",
            "aps",
            "as",
            "asa",
            "bhd",
            "bv",
            "bvba",
            "ca",
        ),
        *("co", "publ", "societe"),
        *("company", "corp", "corporation", "cv", "doo", "dd", "ead", "eeig", "eg", "eirl", "ek", "eood"),
        *("epe", "ev", "gbr", "ges", "gesmbh", "gmbh", "gie", "inc", "incorporated", "kab", "kb", "kft", "kg", "kgaa"),
        *(
            "kk",
            "ks",
            "lda",
            "limited",
            "limitada",
            "llc",
            "llp",
            "lp",
            "ltd",
            "ltda",
            "mbh",
            "nv",
            "nyrt",
            "oao",
            "oe",
        ),
        *("ohg", "ood", "ooo", "oy", "oyj", "pao", "plc", "private", "pt", "pte", "pty", "public", "pvt", "rt", "sa"),
        *("sab", "sae", "saoc", "saog", "sapi", "sarl", "sas", "sasu", "sca", "scs", "se", "sia", "sgps", "sl", "slu"),
        *("snc", "sp", "spa", "spol", "spzoo", "sro", "srl", "sdn", "tbk", "uab", "ug", "ulc", "zao", "zoo", "zrt"),
    )
)
LEADING_FORMS = frozenset(("pt", "ooo", "oao", "zao", "pao", "ao", "uab", "sia", "ab"))
OTHER_SCRIPTS = ("株式会社", "有限会社", "合同会社", "股份有限公司", "有限责任公司", "有限公司", "주식회사", "유한회사")
JOINING = frozenset(("and", "und", "et", "y", "e", "og", "och"))
GRAM = 4
LOOKS = str.maketrans("01345789", "oleastbg")
LOOKING_ALIKE = (("rn", "m"), ("vv", "w"), ("cl", "d"))
LOOK_LETTERS_LEAST = 4
K = TypeVar("K")

_PUNCTUATION = re.compile(r"[\W_]+")
_INITIALS = re.compile(r"\b(?:\w )+\w\b")


class Likeness(NamedTuple):
    """Two scores in whole percent, rounded down, so that a threshold is never met by rounding."""

    token_set_percent: int
    token_sort_percent: int


def normal_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name in normal form, in Latin letters and in its own script where that differs."""
    folded = [_folded(name) for name in names]
    forms = (form for name in folded for form in (_stripped(anyascii(name).casefold()), _stripped(name)))
    return tuple(dict.fromkeys(form for form in forms if form))


def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    for form in OTHER_SCRIPTS:
        folded = folded.replace(form, " ")
    return folded


def _stripped(name: str) -> str:
    spaced = _PUNCTUATION.sub(" ", name.replace("&", " and ").replace("'", "").replace("\u2019", "")).strip()
    words = _INITIALS.sub(lambda found: found[0].replace(" ", ""), spaced).split()
    while len(words) > 1 and (words[-1] in LEGAL_FORMS or words[-1] in JOINING):
        words.pop()
    while len(words) > 1 and words[0] in LEADING_FORMS:
        words.pop(0)
    return " ".join(words)


def likeness(some: Iterable[str], others: Iterable[str]) -> Likeness:
    """The best scores over all pairs of the names in normal form."""
    from rapidfuzz import fuzz  # imported only where names are compared: 2.5 MiB

    pairs = [(one, other) for one in some for other in others]
    return Likeness(
        int(max((fuzz.token_set_ratio(one, other) for one, other in pairs), default=0)),
        int(max((fuzz.token_sort_ratio(one, other) for one, other in pairs), default=0)),
    )


def alike(some: Iterable[str], others: Mapping[K, str], least_percent: int) -> dict[K, int]:
    """Which of the others reach the token set score with one of the names, and the two scores together, at their best.

    The library compares all of them in one call a score.
    """
    from rapidfuzz import fuzz, process  # as above

    best: dict[K, int] = {}
    for one in some:
        sets = process.extract(one, others, scorer=fuzz.token_set_ratio, score_cutoff=least_percent, limit=None)
        found = {key: name for name, _, key in sets}
        sorts = {key: score for _, score, key in process.extract(one, found, scorer=fuzz.token_sort_ratio, limit=None)}
        for _, score, key in sets:
            best[key] = max(int(score) + int(sorts[key]), best.get(key, 0))
    return best


def grams(name: str) -> frozenset[str]:
    """The pieces of four letters of a name, spaces left out; a shorter name is its own piece."""
    letters = name.replace(" ", "")
    return frozenset({letters[i : i + GRAM] for i in range(max(1, len(letters) - GRAM + 1))})


def looks_of(domain: str) -> str | None:
    """What the own part of a registrable domain looks like to a reader; None where it is too short to be mistaken.

    Other scripts are written in Latin letters, digits as the letters they resemble, hyphens are left out, and a letter
    that stands twice is one: `xn--cntoso-n9e.com`, `c0ntoso.net` and `cont-osso.de` all look like `contoso`.
    """
    own = domain.partition(".")[0]
    with suppress(UnicodeError):
        own = own.encode().decode("idna")
    looks = anyascii(own).casefold().translate(LOOKS).replace("-", "")
    for letters, one in LOOKING_ALIKE:
        looks = looks.replace(letters, one)
    once = "".join(letter for letter, before in zip(looks, " " + looks, strict=False) if letter != before)
    return once if len(once) >= LOOK_LETTERS_LEAST else None
