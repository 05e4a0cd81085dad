"""The status page and the API's description. All their files are local."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse

from workflows.service.errors import Problem

pages = APIRouter(include_in_schema=False)

_PAGE = Path(str(files("workflows.service"))) / "page"
_SWAGGER = Path(str(files("fastapi_swagger"))) / "resources"

_FILES = {
    "app.css": _PAGE / "app.css",
    "app.js": _PAGE / "app.js",
    "api.js": _PAGE / "api.js",
    "docs.js": _PAGE / "docs.js",
    "icon.svg": _PAGE / "icon.svg",
    "swagger-ui.css": _SWAGGER / "swagger-ui.css",
    "swagger-ui-bundle.js": _SWAGGER / "swagger-ui-bundle.js",
}


@pages.get("/")
async def index() -> FileResponse:
    """The operations, live."""
    return FileResponse(_PAGE / "index.html", media_type="text/html")


@pages.get("/docs")
async def docs() -> FileResponse:
    """The API's description."""
    return FileResponse(_PAGE / "docs.html", media_type="text/html")


@pages.get("/static/{name}")
async def static(name: str) -> FileResponse:
    """A file of one of the pages; nothing else on the disk can be asked for."""
    file = _FILES.get(name)
    if file is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such file.")
    return FileResponse(file)
