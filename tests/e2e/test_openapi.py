"""Requests made from our own OpenAPI document, sent to the real daemon: every answer is as documented."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

# That a name is taken, or a password longer than 255 bytes of UTF-8, no schema can say.
LEFT_OUT = [positive_data_acceptance]
# Streams, and what goes out into the world.
WITHOUT_END = ("/api/events", "/api/logs/stream", "/api/diagnostics/connectivity")


def test_answers_are_as_documented(daemon):
    token = (daemon.data_dir / "api-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{daemon.api}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [each for each in operations if each.path not in WITHOUT_END]
    assert len(operations) >= 8
    for operation in operations:
        if operation.path.endswith("/stream"):  # which has no end
            continue

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)

        check()
