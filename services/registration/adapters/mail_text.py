"""The lines that a person wrote in a mail (RFC 5322): its text part, or its HTML without marks, in the right letters.

Whatever a mail is made of, this ends, and raises nothing: too many parts, letters that fit no alphabet, an encoding that
there is not, all come to fewer lines and a remark.
"""

import re
from collections.abc import Iterator
from email import message_from_string
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html import unescape

from chassis.event import frozen

PARTS_MAX = 20
READ_LINES_MAX, LINES_MAX = 10_000, 2_000
HEADER_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, LINE_CHARACTERS_MAX = 1_000, 64 << 10, 500
NO_TEXT, HTML_ONLY = "no-text", "html-only"
CHARSET_GUESSED, TOO_MANY_PARTS = "charset-guessed", "too-many-parts"
NO_ALPHABETS = ("idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape")
"""What Python calls codecs of text, and no mail is written in."""
LINE_ENDS = "\x1e"
HEADERS = ("From", "To", "Subject", "Date", "Received", "Message-ID", "MIME-Version", "Content-Type")
"""One of these stands at the head of every mail."""
ENCODED = ("quoted-printable", "base64")
_PART = re.compile(r"^content-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_QUOTED = re.compile(r"^\s*(?:>\s*)+")
_SIGNATURE = re.compile(r"^-- ?$")
_HOST = re.compile(r"[\w.-]+")
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@frozen
class Line:
    """One line by its number in the text, from 1. `quoted`: of an earlier mail; `signed`: below the writer's name."""

    number: int
    text: str
    quoted: bool = False
    signed: bool = False


@frozen
class Letter:
    """What a person wrote. `from_domain` is whose mail it says it is; that proves nothing."""

    lines: tuple[Line, ...] = ()
    subject: str = ""
    from_domain: str = ""
    remarks: tuple[str, ...] = ()


def letter_of(raw: str) -> Letter:
    """The mail as its reader sees it."""
    if len(_PART.findall(raw)) > PARTS_MAX:
        return Letter(remarks=(TOO_MANY_PARTS,))
    mail = message_from_string("\n".join(raw.split("\n", READ_LINES_MAX)[:READ_LINES_MAX]))
    text, remarks = _text_of(mail) if any(mail.get(name) for name in HEADERS) else _text_by_itself(raw)
    return Letter(
        lines=tuple(_lines(text)),
        subject=_words(mail.get("Subject")),
        from_domain=_domain_of(_words(mail.get("From"))),
        remarks=remarks,
    )


def _text_by_itself(raw: str) -> tuple[str, tuple[str, ...]]:
    """What somebody copied out of a mail, without its headers."""
    return raw[:TEXT_CHARACTERS_MAX], () if raw.strip() else (NO_TEXT,)


def _domain_of(sender: str) -> str:
    found = _HOST.match(sender.rpartition("@")[2])
    return found[0].casefold() if found else ""


# Which part


def _text_of(mail: Message) -> tuple[str, tuple[str, ...]]:
    parts = [part for part in mail.walk() if not part.is_multipart() and not _attached(part)]
    for kind, remark in (("text/plain", ()), ("text/html", (HTML_ONLY,))):
        for part in parts:
            if part.get_content_type() == kind:
                text, guessed = _decoded(part)
                known = text[:TEXT_CHARACTERS_MAX]
                written = _without_marks(known) if remark else known
                if written.strip():
                    return written, (*remark, *((CHARSET_GUESSED,) if guessed else ()))
    return "", (NO_TEXT,)


def _attached(part: Message) -> bool:
    return str(part.get("Content-Disposition", "")).casefold().startswith("attachment")


def _decoded(part: Message) -> tuple[str, bool]:
    """The text of a part, and whether its alphabet had to be guessed. What is not encoded has its letters already."""
    if str(part.get("Content-Transfer-Encoding", "")).strip().casefold() not in ENCODED:
        return str(part.get_payload()), False
    body = part.get_payload(decode=True)
    content, charset = (body if isinstance(body, bytes) else b""), str(part.get_content_charset("utf-8"))
    said, utf8 = _in(content, charset), None if content.isascii() else _in(content, "utf-8")
    if utf8 is not None and utf8 != said:
        return utf8, True
    return (content.decode("cp1252", "replace"), True) if said is None else (said, False)


def _in(content: bytes, charset: str) -> str | None:
    """The text in an alphabet; None where it does not fit, or there is no such alphabet."""
    if charset in NO_ALPHABETS:
        return None
    try:
        return content.decode(charset)
    except (LookupError, ValueError):
        return None


# Lines


def _lines(text: str) -> Iterator[Line]:
    signed = False
    for number, line in enumerate(text.splitlines()[:LINES_MAX], 1):
        signed = signed or bool(_SIGNATURE.match(line))
        quoted = _QUOTED.match(line)
        said = line[quoted.end() :] if quoted else line
        yield Line(number=number, text=clean(said), quoted=bool(quoted), signed=signed)


def clean(text: str) -> str:
    """The text without what nobody can see, as long as a line may be."""
    return _INVISIBLE.sub("", text).strip()[:LINE_CHARACTERS_MAX]


def _words(header: object) -> str:
    """A header's encoded words as one line, whatever line ends they hide."""
    try:
        parts = decode_header(str(header or "")[:HEADER_CHARACTERS_MAX])
        found = [part if isinstance(part, str) else _in_letters(part, charset) for part, charset in parts]
    except (HeaderParseError, ValueError):
        found = [str(header)[:HEADER_CHARACTERS_MAX]]
    return clean(" ".join("".join(found).split()))


def _in_letters(part: bytes, charset: str | None) -> str:
    try:
        return part.decode(charset or "ascii", "replace")
    except (LookupError, ValueError):
        return part.decode("ascii", "replace")


# HTML

BLOCKS = ("p", "div", "br", "tr", "li", "table", "ul", "ol", "h1", "h2", "h3", "h4", "blockquote", "hr", "body")
CELLS = ("/td", "/th")
HIDDEN = ("script", "style", "title", "template")
COMMENT, COMMENT_ENDS = "!--", "-->"


def _without_marks(markup: str) -> str:
    """What a browser would show, a line a block, a tab between the cells of a row; read once, from left to right."""
    first, *pieces = markup.replace(LINE_ENDS, "").split("<")
    shown, hidden = [_flat(first)], ""
    for piece in pieces:
        hidden, text = _shown(piece, hidden)
        shown.append(text)
    lines = unescape("".join(shown)).split(LINE_ENDS)
    return "\n".join(line for line in lines if line.strip())


def _shown(piece: str, hidden: str) -> tuple[str, str]:
    """What comes of one tag and the text behind it: what is hidden from now on until its end, and what is shown."""
    if hidden == COMMENT or (not hidden and piece.startswith(COMMENT)):
        _, ended, rest = piece.partition(COMMENT_ENDS)
        return ("", _flat(rest)) if ended else (COMMENT, "")
    tag, ended, rest = piece.partition(">")
    name = tag.partition(" ")[0].strip().casefold().removesuffix("/")
    if hidden:
        return ("", _flat(rest)) if name == f"/{hidden}" else (hidden, "")
    if name in HIDDEN:
        return name, ""
    around = LINE_ENDS if name.removeprefix("/") in BLOCKS else "\t" if name in CELLS else ""
    return "", around + _flat(rest)


def _flat(text: str) -> str:
    """Line ends of the source are spaces where it is shown."""
    return text.replace("\r", " ").replace("\n", " ")
