"""HTML from templates, with the headers that every page has. All wording is in the templates."""

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.gateway.api.portal.formats import ABSENT

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _shown(value: Any) -> Any:
    """What is absent is shown as such."""
    return ABSENT if value is None else value


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.globals |= {"development": False, "opens": frozenset()}
    return made


TEMPLATES = _environment()


def html(template: str, context: dict[str, Any], status: int = 200) -> Response:
    """A template as a page."""
    body = TEMPLATES.get_template(template).render(context)
    return Response(body, status, HEADERS, "text/html; charset=utf-8")


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page for who is not signed in."""
    return html(template, {"visit": None, "status": status, "path": request.url.path, **context}, status)
