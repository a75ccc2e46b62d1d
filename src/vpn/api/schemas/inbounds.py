"""Inbounds, as the API shows and takes them.

What may be said of one is described once, by vpn.settings.proxy.InboundSettings, and judged there, so that a mistake
is told in the same words wherever it is made. Requests are shown like that in the documentation, and passed on as they
are.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from vpn.services.inbounds import InboundState
from vpn.settings.proxy import InboundSettings
from vpn.settings.values import NAME_PATTERN, Listen

_KEY = (
    "The inbound's own key, in base64, where clients of Shadowsocks say who they are (2022-blake3-aes-…); one is made "
    "if it is left out. It is not shown again: links hold it."
)


class PublicAddress(BaseModel):
    """Where clients reach an inbound, as links say it."""

    host: str = Field(examples=["vpn.example.org"])
    port: int = Field(examples=[8388], description="0: it will be known when the inbound is served.")
    guessed: bool = Field(description="Nothing says the host: it is a guess. Say it with server.public_host.")


class InboundView(BaseModel):
    """A listening endpoint."""

    name: str = Field(examples=["main"])
    protocol: str = Field(examples=["mixed"])
    method: str = Field(examples=[""], description="Of Shadowsocks: the cipher.")
    listen: str = Field(examples=["127.0.0.1:1080"], description="Where, with the real port.")
    engine: str = Field(examples=["embedded"])
    tls: bool
    managed: bool = Field(description="Whether it was added here, and not by the settings, which alone change theirs.")
    served: bool = Field(description="Whether clients can connect; without a daemon, nothing is served.")
    problem: str = Field(description="Why it cannot be served, which is tried again every few seconds; usually empty.")
    connections: int = Field(description="Clients connected now, whether or not they have a session.")
    max_connections: int = Field(description="Clients at once, over all workers; 0: no limit.")
    public: PublicAddress
    settings: dict[str, Any] = Field(
        examples=[{"listen": "127.0.0.1:1080"}],
        description="What was said of it, but for the key; the rest is default.",
    )

    @classmethod
    def of(cls, state: InboundState) -> InboundView:
        """The view of an inbound."""
        inbound = state.inbound
        return cls(
            name=inbound.name,
            protocol=inbound.protocol,
            method=inbound.method,
            listen=str(inbound.listen),
            engine=inbound.engine,
            tls=inbound.tls is not None,
            managed=inbound.managed,
            served=state.served,
            problem=state.problem,
            connections=state.connections,
            max_connections=inbound.max_connections,
            public=PublicAddress(**state.reach._asdict()),
            settings=dict(state.settings),
        )


class InboundList(BaseModel):
    """All inbounds: those of the settings, and then those that are managed."""

    data: list[InboundView]


class DocumentedAs:
    """Shows, in the documentation, a JSON object as this model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The model's schema."""
        return handler(self._model.__pydantic_core_schema__)


def _described(title: str, *, changing: bool, example: dict[str, Any], **more: Any) -> type[BaseModel]:
    """A model of the fields of an inbound, for the documentation."""
    fields: dict[str, Any] = {}
    for name, field in InboundSettings.model_fields.items():
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        default = None if changing else field.get_default(call_default_factory=True)
        fields[name] = (kind | None if changing else kind, Field(default, description=field.description))
    if not changing:
        fields["listen"] = (Listen, Field(description="Where, as HOST:PORT."))
    config = ConfigDict(extra="forbid", title=title, json_schema_extra={"examples": [example]})
    return create_model(title, __config__=config, **(fields | more))


_NEW = _described(
    "NewInbound",
    changing=False,
    example={"name": "phones", "protocol": "shadowsocks", "listen": "0.0.0.0:8388"},
    name=(Annotated[str, Field(pattern=NAME_PATTERN)], Field(description="Small letters, digits, - and _.")),
    key=(str | None, Field(None, description=_KEY)),
)
_CHANGES = _described(
    "InboundChanges",
    changing=True,
    example={"max_connections": 500, "public_host": None},
    key=(str | None, Field(None, description=_KEY)),
)

NewInbound = Annotated[dict[str, Any], DocumentedAs(_NEW)]
"""An inbound to add."""
InboundChanges = Annotated[dict[str, Any], DocumentedAs(_CHANGES)]
"""What to change; null: back to the default. What is left out stays."""
