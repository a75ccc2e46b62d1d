import pytest
from sqlalchemy.exc import IntegrityError

from vpn.store.facts import FactStore

pytestmark = pytest.mark.anyio


async def test_a_fact_is_written_once(database):
    facts = FactStore(database)
    assert await facts.get("a") is None
    await facts.put("a", b"\0value")
    assert await facts.get("a") == b"\0value"
    with pytest.raises(IntegrityError):
        await facts.put("a", b"other")
    assert await facts.get("a") == b"\0value"
