"""What Outline's clients send and read. Field names are Outline's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from vpn.services.outline.keys import AccessKey, NewKey
from vpn.services.outline.metrics import ServerFigures, Speed
from vpn.services.outline.server import ServerView

# The services decide what is allowed, in words for a person. Here nonsense is kept away.
Text = Annotated[str, Field(max_length=2000)]
_LARGEST = 2**53 - 1  # JavaScript's largest whole number


class _Shown(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class DataLimit(_Shown):
    """A limit of bytes in the last 30 days, both directions together."""

    bytes: StrictInt = Field(ge=0, le=_LARGEST, examples=[10_000_000_000])


class LimitBody(BaseModel):
    """A limit to set."""

    limit: DataLimit


class NameBody(BaseModel):
    """A name to give."""

    name: Text = Field(min_length=1)


class HostnameBody(BaseModel):
    """The host in the links of access keys."""

    hostname: Text = Field(examples=["vpn.example.org"])


class PortBody(BaseModel):
    """The port of access keys to come."""

    port: StrictInt = Field(ge=1, le=65535)


class MetricsEnabled(_Shown):
    """Whether metrics are shared with Outline's makers. They never are; this is what was said of it."""

    metrics_enabled: StrictBool = Field(alias="metricsEnabled")


class NewAccessKey(BaseModel):
    """An access key to add; what is left out is made."""

    name: Text = ""
    method: Text | None = Field(None, examples=["chacha20-ietf-poly1305"])
    password: Text | None = None
    port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = None
    limit: DataLimit | None = None

    def new(self) -> NewKey:
        """What is said."""
        limit = None if self.limit is None else self.limit.bytes
        return NewKey(self.name, self.method, self.password, self.port, limit)


class AccessKeyView(_Shown):
    """An access key: a user with what a Shadowsocks client needs."""

    id: str
    name: str
    password: str
    port: int
    method: str
    access_url: str = Field(alias="accessUrl")
    data_limit: DataLimit | None = Field(None, alias="dataLimit")

    @classmethod
    def of(cls, key: AccessKey) -> AccessKeyView:
        """The view of a key."""
        return cls.model_construct(**key._asdict() | {"data_limit": _limit(key.data_limit)})


class AccessKeys(_Shown):
    """All access keys."""

    access_keys: list[AccessKeyView] = Field(alias="accessKeys")


class ServerInfo(_Shown):
    """The server."""

    name: str
    server_id: str = Field(alias="serverId")
    metrics_enabled: bool = Field(alias="metricsEnabled")
    created_timestamp_ms: int = Field(alias="createdTimestampMs")
    version: str
    access_key_data_limit: DataLimit | None = Field(None, alias="accessKeyDataLimit")
    port_for_new_access_keys: int = Field(alias="portForNewAccessKeys")
    hostname_for_access_keys: str = Field(alias="hostnameForAccessKeys")

    @classmethod
    def of(cls, view: ServerView, version: str) -> ServerInfo:
        """The view of a server that speaks as this version of Outline does."""
        return cls(
            name=view.name,
            server_id=view.server_id,
            metrics_enabled=view.metrics_enabled,
            created_timestamp_ms=view.created,
            version=version,
            access_key_data_limit=_limit(view.limit),
            port_for_new_access_keys=view.port,
            hostname_for_access_keys=view.hostname,
        )


class Transfer(_Shown):
    """Bytes by the identifiers of keys."""

    by_user: dict[str, int] = Field(alias="bytesTransferredByUserId")


class Seconds(_Shown):
    """A time."""

    seconds: float


class Amount(_Shown):
    """So many bytes."""

    bytes: float


class Measured(_Shown):
    """Bytes per second, at a moment."""

    data: Amount
    timestamp: int | None

    @classmethod
    def of(cls, speed: Speed) -> Measured:
        """The view of a speed."""
        return cls(data=Amount(bytes=round(speed.rate, 1)), timestamp=speed.moment)


class Bandwidth(_Shown):
    """How fast bytes move, and how fast they did at most."""

    current: Measured
    peak: Measured


class Counted(_Shown):
    """A number, at a moment; null: now."""

    data: int
    timestamp: int | None


class Connection(_Shown):
    """When a key was seen, and from how many addresses it is in use."""

    last_traffic_seen: int | None = Field(alias="lastTrafficSeen")
    peak_device_count: Counted = Field(alias="peakDeviceCount")


class KeyMetrics(_Shown):
    """What one key comes to."""

    access_key_id: str = Field(alias="accessKeyId")
    tunnel_time: Seconds = Field(alias="tunnelTime")
    data_transferred: Amount = Field(alias="dataTransferred")
    connection: Connection


class AllMetrics(_Shown):
    """What all keys come to."""

    tunnel_time: Seconds = Field(alias="tunnelTime")
    data_transferred: Amount = Field(alias="dataTransferred")
    bandwidth: Bandwidth
    locations: list[str] = Field(description="Where clients are is not looked up: always empty.")


class ServerMetrics(_Shown):
    """What the server and each key come to."""

    server: AllMetrics
    access_keys: list[KeyMetrics] = Field(alias="accessKeys")

    @classmethod
    def of(cls, figures: ServerFigures) -> ServerMetrics:
        """The view of figures."""
        keys = [
            KeyMetrics(
                access_key_id=key.id,
                tunnel_time=Seconds(seconds=key.seconds),
                data_transferred=Amount(bytes=key.bytes),
                connection=Connection(
                    last_traffic_seen=key.last_seen, peak_device_count=Counted(data=key.devices, timestamp=None)
                ),
            )
            for key in figures.keys
        ]
        together = AllMetrics(
            tunnel_time=Seconds(seconds=sum(key.seconds for key in figures.keys)),
            data_transferred=Amount(bytes=sum(key.bytes for key in figures.keys)),
            bandwidth=Bandwidth(current=Measured.of(figures.current), peak=Measured.of(figures.peak)),
            locations=[],
        )
        return cls(server=together, access_keys=keys)


def _limit(size: int | None) -> DataLimit | None:
    return None if size is None else DataLimit.model_construct(bytes=size)
