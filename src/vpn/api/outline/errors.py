"""Errors as Outline's clients see them: ``{"code", "message"}``, with the status that Outline's server has for it."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from vpn.api.errors import STATUS
from vpn.domain.errors import Conflict, DomainError, Invalid, NotFound, Unavailable

_STATUS = STATUS | {Invalid: 400}
_CODES: dict[type[DomainError], str] = {
    Invalid: "InvalidArgumentError",
    NotFound: "NotFoundError",
    Conflict: "ConflictError",
    Unavailable: "ServiceUnavailableError",
}
_CODES_OF_STATUS = {
    400: "BadRequestError",
    404: "ResourceNotFoundError",
    405: "MethodNotAllowedError",
    408: "RequestTimeoutError",
    413: "PayloadTooLargeError",
}


class OutlineError(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["NotFoundError"])
    message: str = Field(examples=["no access key has the id 9"])


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for OpenAPI."""
    return {status: {"model": OutlineError} for status in statuses}


def install(app: FastAPI) -> None:
    """Let every error of the application take the one shape."""

    @app.exception_handler(DomainError)
    async def domain_error(_request: Request, error: DomainError) -> JSONResponse:
        return _answer(_STATUS[type(error)], _CODES[type(error)], f"{error.message}; {error.hint}")

    @app.exception_handler(RequestValidationError)
    async def validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = []
        missing = False
        for problem in error.errors()[:10]:
            where = ".".join(str(part) for part in problem["loc"] if part != "body")
            problems.append(f"{where or 'the body'}: {problem['msg']}")
            missing = missing or problem["type"] == "missing"
        code = "MissingParameterError" if missing else "InvalidArgumentError"
        return _answer(400, code, "; ".join(problems))

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        answer = _answer(error.status_code, _CODES_OF_STATUS.get(error.status_code, "HttpError"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        # The path is without the secret here.
        structlog.get_logger("api").error(
            "defect in a request of Outline's API", method=request.method, path=request.scope["path"], exc_info=error
        )
        return _answer(500, "InternalServerError", "something went wrong on our side")


def _answer(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status_code=status)
