from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy.dialects import sqlite

from vpn.domain.limits import NO_LIMITS, Limits
from vpn.store.tables import Document, UTCDateTime, metadata


def test_times_without_a_zone_are_taken_as_utc():
    kind, dialect = UTCDateTime(), sqlite.dialect()
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert kind.process_bind_param(moment, dialect) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert kind.process_result_value(datetime(2026, 1, 1, 10), dialect) == moment
    assert kind.process_bind_param(None, dialect) is kind.process_result_value(None, dialect) is None


def test_every_constraint_has_a_name():
    for table in metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)


def test_documents_hold_what_is_said():
    kind, dialect = Document(Limits), sqlite.dialect()
    limits = Limits(down=0, sources=(), expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    kept = kind.process_bind_param(limits, dialect)
    assert kept == '{"sources":[],"expires_at":"2026-01-01T00:00:00Z","down":0}'
    assert kind.process_result_value(kept, dialect) == limits
    assert kind.process_bind_param(NO_LIMITS, dialect) == "{}"
    assert kind.process_result_value("{}", dialect) == NO_LIMITS
