from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy.dialects import sqlite

from vpn.store.tables import UTCDateTime, metadata


def test_times_without_a_zone_are_taken_as_utc():
    kind, dialect = UTCDateTime(), sqlite.dialect()
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert kind.process_bind_param(moment, dialect) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert kind.process_result_value(datetime(2026, 1, 1, 10), dialect) == moment
    assert kind.process_bind_param(None, dialect) is kind.process_result_value(None, dialect) is None


def test_every_constraint_has_a_name():
    for table in metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)
