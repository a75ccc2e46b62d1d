import pytest

from vpn.domain.errors import Conflict, Unavailable
from vpn.services.outline.state import StateBook

pytestmark = pytest.mark.anyio


async def test_it_is_kept_sealed(outline, secrets, tmp_path):
    state = await outline.book.state()
    assert await StateBook(secrets).state() == state
    content = b"".join(file.read_bytes() for file in tmp_path.glob("vpn.db*"))
    assert b"outline" in content
    assert state.secret.encode() not in content
    assert b"PRIVATE KEY" not in content


async def test_nothing_is_there_before_it_is_enabled(secrets):
    book = StateBook(secrets)
    assert await book.find() is None
    with pytest.raises(Conflict, match="not enabled"):
        await book.state()


async def test_a_document_of_a_newer_version_is_left_alone(secrets):
    await secrets.put("server", "outline", '{"enabled": "perhaps"}')
    with pytest.raises(Unavailable, match="cannot be read"):
        await StateBook(secrets).find()
