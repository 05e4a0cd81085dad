"""Puts the service together."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.types import ASGIApp

from workflows.service import errors
from workflows.service.guards import Guards
from workflows.service.operations import Operations
from workflows.service.pages import pages
from workflows.service.routes import api, probes

_DESCRIPTION = """Starts, shows and controls video operations: a character image, then one video or
a series of it. Every error is `{"errors": ["one sentence", …]}`; amounts are USD, as strings."""


def create_app(operations: Operations, token: SecretStr | None) -> ASGIApp:
    """The service, behind its guards. With a `token` all but its pages and probes need it."""
    app = FastAPI(
        title="Video operations",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would leave the one shape of errors
    )
    app.state.operations = operations
    errors.install(app)
    # For the description only: the guard has checked the token before.
    secured = [Depends(HTTPBearer(auto_error=False))] if token else []
    app.include_router(api, dependencies=secured)
    app.include_router(probes)
    app.include_router(pages)
    return Guards(app, token)
