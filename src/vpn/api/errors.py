"""Errors as clients of the API see them: one shape, ``{"code", "message", "hint"}``, for everything.

This is the only place where HTTP status codes are chosen.
"""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from vpn.domain.errors import Conflict, DomainError, Invalid, NotFound, Unavailable

STATUS: dict[type[DomainError], int] = {Invalid: 422, NotFound: 404, Conflict: 409, Unavailable: 503}


class Error(BaseModel):
    """What went wrong, and how to mend it."""

    code: str = Field(description="Short and stable, for programs.", examples=["user_unknown"])
    message: str = Field(description="What is wrong.", examples=["there is no user bob"])
    hint: str = Field(description="How to mend it.", examples=["list them with: vpn users list"])


def unauthorized() -> JSONResponse:
    """The answer to a request without a valid token."""
    hint = "send Authorization: Bearer TOKEN; the token is in the file api-token in the data directory"
    answer = _answer(401, "unauthorized", "the token is missing or wrong", hint)
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def malformed() -> bytes:
    """The body of the answer to what is no HTTP request at all."""
    return bytes(_answer(400, "bad_request", "this is not an HTTP request", "speak HTTP/1.1; see /docs").body)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for OpenAPI."""
    return {status: {"model": Error} for status in statuses}


def install(app: FastAPI) -> None:
    """Let every error of the application take the one shape."""

    @app.exception_handler(DomainError)
    async def domain_error(_request: Request, error: DomainError) -> JSONResponse:
        return _answer(STATUS[type(error)], error.code, error.message, error.hint)

    @app.exception_handler(RequestValidationError)
    async def validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
            for problem in error.errors()[:10]
        ]
        return _answer(422, "bad_request", "; ".join(problems), "see /docs for what this request takes")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code, hint = {
            400: ("bad_request", "see /docs for what this request takes"),
            404: ("not_found", "see /docs for the paths there are"),
            408: ("too_slow", "send the whole request within ten seconds"),
            405: ("method_not_allowed", "see /docs for the methods of this path"),
            413: ("too_large", "send less"),
        }.get(error.status_code, ("http_error", "see /docs"))
        message = f"{request.method} {request.url.path}: {error.detail}"
        answer = _answer(error.status_code, code, message, hint)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        structlog.get_logger("api").error(
            "defect in a request", method=request.method, path=request.url.path, exc_info=error
        )
        return _answer(500, "internal", "something went wrong on our side", "the daemon's log says more")


def _answer(status: int, code: str, message: str, hint: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "hint": hint}, status_code=status)
