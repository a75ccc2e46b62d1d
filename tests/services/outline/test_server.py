import asyncio

import pytest

from vpn.domain.errors import Invalid
from vpn.settings.server import ServerSettings

pytestmark = pytest.mark.anyio


async def test_its_name_is_said_here_or_in_the_settings(outline):
    assert (await outline.server.view()).name == "Outline Server"
    outline.server_settings = ServerSettings(public_host="vpn.example.org")
    assert (await outline.server.view()).name == "vpn.example.org"
    outline.server_settings = ServerSettings(public_host="vpn.example.org", name="Ours")
    assert (await outline.server.view()).name == "Ours"
    await outline.server.rename("Mine")
    assert (await outline.server.view()).name == "Mine"
    for wrong in ("x" * 101, "a\x00b"):
        with pytest.raises(Invalid):
            await outline.server.rename(wrong)


async def test_the_limit_of_all_is_everyones(outline, groups):
    await outline.server.set_limit(None)
    await outline.server.set_limit(5000)
    assert (await groups.get("everyone")).group.limits.data_limit == 5000
    assert (await outline.server.view()).limit == 5000
    await groups.edit("everyone", limits={"data_limit": "1GB", "reset": "monthly"})
    assert (await outline.server.view()).limit == 10**9
    await outline.server.set_limit(None)
    limits = (await groups.get("everyone")).group.limits
    assert (limits.data_limit, limits.reset) == (None, "monthly"), "the period was somebody else's"


@pytest.mark.parametrize("host", ["", "a b", "-a.org", "1.2.3", "x" * 300, "host:80", "ü.example.org"])
async def test_hosts_that_are_none(outline, host):
    with pytest.raises(Invalid):
        await outline.server.set_hostname(host)


async def test_limits_that_are_set_at_the_same_time(outline):
    await asyncio.gather(*(outline.server.set_limit(size) for size in range(1, 9)))
    assert (await outline.server.view()).limit in range(1, 9)
