import pytest

from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings
from vpn.settings.otel import OtelSettings


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "http://127.0.0.1:4318/"},
        {"endpoint": "http://localhost:4318"},
        {"endpoint": "http://[::1]:4318"},
        {"endpoint": "https://collector.example.org/otlp"},
        {"endpoint": "http://collector.example.org:4318", "insecure": True},
        {"headers": "authorization=Bearer abc=, x-scope=me"},
    ],
)
def test_what_is_allowed(fields):
    settings = OtelSettings(**fields)
    assert not settings.endpoint.endswith("/")
    assert "abc" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENDPOINT", "http://collector.example.org:4318"),
        ("ENDPOINT", "collector:4318"),
        ("ENDPOINT", "https://me:top-secret@collector.example.org"),
        ("ENDPOINT", "grpc://127.0.0.1"),
        ("HEADERS", "top-secret"),
        ("HEADERS", "bad name=top-secret"),
        ("SAMPLE_RATIO", "1.5"),
        ("INTERVAL", "0"),
    ],
)
def test_what_is_not_and_is_not_repeated(tmp_path, name, value):
    with pytest.raises(Invalid) as refused:
        load_settings({"VPN_DATA_DIR": str(tmp_path), f"VPN_OTEL__{name}": value, "XDG_CONFIG_HOME": str(tmp_path)})
    assert "otel" in refused.value.message.lower()
    assert "top-secret" not in refused.value.message + refused.value.hint
