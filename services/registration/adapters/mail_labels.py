"""The words that people write before a field of a deal, and the names that they call countries, roles and months by.

Part of a version of the parser: what a word means here never changes; a newer version has words of its own.
"""

from functools import cache
from importlib import resources

LABELS: dict[str, tuple[str, ...]] = {
    "customer.name": (
        *("customer", "customer name", "end customer", "company", "company name", "client", "account"),
        *("kunde", "kundenname", "endkunde", "firma", "unternehmen", "société", "entreprise", "client final"),
        *("cliente", "cliente final", "cliente finale", "empresa", "azienda", "ragione sociale"),
    ),
    "customer.country": ("country", "land", "pays", "país", "paese"),
    "customer.region": ("region", "state", "province", "bundesland", "région", "región", "provincia", "regione"),
    "customer.postcode": (
        *("postcode", "postal code", "zip", "zip code", "plz", "postleitzahl"),
        *("code postal", "código postal", "cap"),
    ),
    "customer.street": (
        *("street", "address", "straße", "strasse", "adresse", "anschrift", "rue"),
        *("calle", "dirección", "via", "indirizzo"),
    ),
    "customer.website": (
        *("website", "web site", "web", "homepage", "url", "domain", "webseite", "internet"),
        *("site web", "site internet", "sitio web", "página web", "sito", "sito web"),
    ),
    "vat": (
        *("vat", "vat id", "vat no", "vat number", "ust-id", "ust-idnr", "ust-id-nr", "umsatzsteuer-id"),
        *("tva", "n° tva", "numéro de tva", "iva", "partita iva", "p. iva"),
    ),
    "lei": ("lei", "lei code"),
    "duns": ("duns", "d-u-n-s", "duns number"),
    "registry": ("registration number", "company number", "handelsregister", "siren", "siret"),
    "tax": ("tax id", "tax number", "steuernummer", "codice fiscale", "nif"),
    "products": (
        *("product", "products", "produkt", "produkte", "produit", "produits", "producto", "productos"),
        *("prodotto", "prodotti"),
    ),
    "amount": (
        *("amount", "value", "deal value", "deal size", "volume", "betrag", "auftragswert", "wert", "volumen"),
        *("montant", "valeur", "importe", "valor", "importo", "valore"),
    ),
    "currency": ("currency", "währung", "devise", "moneda", "divisa", "valuta"),
    "close_on": (
        *("close date", "closing date", "expected close", "expected close date", "close", "abschluss"),
        *("abschlussdatum", "date de clôture", "clôture", "fecha de cierre", "cierre", "data di chiusura"),
    ),
    "role": ("role", "rolle", "rôle", "función", "ruolo"),
    "deal_type": ("deal type", "type", "art", "typ", "type d'affaire", "tipo"),
    "description": ("description", "project", "beschreibung", "projekt", "projet", "descripción", "descrizione"),
    "contact": ("contact", "contact person", "ansprechpartner", "kontakt", "interlocuteur", "contacto", "contatto"),
    "partner_reference": (
        *("reference", "our reference", "referenz", "unser zeichen", "référence", "notre référence"),
        *("referencia", "riferimento"),
    ),
}
NAMED = {label: name for name, labels in LABELS.items() for label in labels}
SCHEMES = ("vat", "lei", "duns", "registry", "tax")
ROLES = {
    "referral": ("referral", "referrer", "empfehlung", "apporteur", "referido", "segnalazione"),
    "resell": ("resell", "reseller", "resale", "wiederverkauf", "händler", "revendeur", "revendedor", "rivenditore"),
    "distribute": ("distribute", "distributor", "distribution", "distributeur", "distribuidor", "distributore"),
    "service": ("service", "services", "dienstleistung", "servicio", "servizio"),
    "influence": ("influence", "influencer", "einfluss", "influencia", "influenza"),
}
DEAL_TYPES = {
    "new": ("new", "new business", "neu", "neugeschäft", "nouveau", "nuevo", "nuovo"),
    "expansion": ("expansion", "upsell", "erweiterung", "extension", "ampliación", "espansione"),
    "renewal": ("renewal", "verlängerung", "erneuerung", "renouvellement", "renovación", "rinnovo"),
}
CURRENCIES = {
    **dict.fromkeys(("€", "eur", "euro", "euros"), ("EUR", True)),
    **dict.fromkeys(("£", "gbp"), ("GBP", True)),
    **dict.fromkeys(("us$", "usd"), ("USD", True)),
    "$": ("USD", False),
    "chf": ("CHF", True),
    **{word: (word.upper(), True) for word in ("sek", "nok", "dkk", "pln", "czk", "jpy", "cad", "aud", "nzd", "inr")},
}
"""What an amount is in, and whether that is certain: many countries have a dollar."""
MONTHS = {
    word: number
    for number, words in enumerate(
        (
            ("january", "jan", "januar", "jänner", "janvier", "enero", "gennaio"),
            ("february", "feb", "februar", "février", "febrero", "febbraio"),
            ("march", "mar", "märz", "mars", "marzo"),
            ("april", "apr", "avril", "abril", "aprile"),
            ("may", "mai", "mayo", "maggio"),
            ("june", "jun", "juni", "juin", "junio", "giugno"),
            ("july", "jul", "juli", "juillet", "julio", "luglio"),
            ("august", "aug", "août", "agosto"),
            ("september", "sep", "sept", "septembre", "septiembre", "settembre"),
            ("october", "oct", "oktober", "okt", "octobre", "octubre", "ottobre"),
            ("november", "nov", "novembre", "noviembre"),
            ("december", "dec", "dezember", "dez", "décembre", "diciembre", "dicembre"),
        ),
        1,
    )
    for word in words
}
OTHER_NAMES = {
    "DE": ("deutschland", "allemagne", "alemania", "germania"),
    "AT": ("österreich", "autriche", "austria"),
    "CH": ("schweiz", "suisse", "suiza", "svizzera"),
    "FR": ("frankreich", "francia"),
    "ES": ("spanien", "espagne", "españa", "spagna"),
    "IT": ("italien", "italie", "italia"),
    "NL": ("niederlande", "pays-bas", "países bajos", "paesi bassi", "the netherlands", "holland"),
    "BE": ("belgien", "belgique", "bélgica", "belgio"),
    "PL": ("polen", "pologne", "polonia"),
    "PT": ("portugal", "portogallo"),
    "DK": ("dänemark", "danemark", "dinamarca", "danimarca"),
    "SE": ("schweden", "suède", "suecia", "svezia"),
    "GB": ("uk", "united kingdom", "great britain", "england", "großbritannien", "royaume-uni", "reino unido"),
    "US": ("usa", "united states of america", "vereinigte staaten", "états-unis", "estados unidos", "stati uniti"),
}


@cache
def countries() -> dict[str, str]:
    """The code of ISO 3166-1 by each name of a country, as the time zone database and its neighbours call it."""
    table = (resources.files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    english = {row[1].casefold(): row[0] for row in rows}
    return {**english, **{name: code for code, names in OTHER_NAMES.items() for name in names}}
