"""The pages of the portal."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
router = APIRouter(include_in_schema=False)


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page as HTML."""
    return Response(TEMPLATES.get_template(template).render(**context), status, media_type="text/html")


@router.get("/")
async def home(request: Request) -> Response:
    return render(request, "home.html")
