from datetime import UTC, datetime
from math import inf

from vpn.domain.group import Group
from vpn.domain.limits import Limits, Shared
from vpn.domain.shaping import Claim, Sharer
from vpn.services.shaping import Shaping

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STAFF = Group(name="Staff", shared=Shared(down=80_000), created_at=NOW, updated_at=NOW)


def test_plans_are_made_anew_with_every_change():
    told = []
    shaping = Shaping(0, 0)
    shaping.share([Sharer(1, ("staff", "everyone"), Limits(up=8000))], {"staff": STAFF.shared})
    assert told == []
    shaping.run(lambda down, up: told.append((down, up)))
    down, up = told.pop()
    assert down.branches == [(Claim(10_000), {1: Claim()})]
    assert (up.most, up.alone) == (inf, {0: 0, 1: 1000})
    shaping.share([Sharer(1, ("everyone",), Limits())], {"staff": STAFF.shared})
    assert told.pop()[0].alone == {0: 0, 1: 0}


def test_under_a_total_those_without_credentials_share_too():
    told = []
    shaping = Shaping(0, 0)
    shaping.run(lambda down, up: told.append((down, up)))
    shaping.share([Sharer(1, (), Limits())], {})
    shaping.limit(8000, 0)
    down, up = told.pop()
    assert (down.most, down.branches) == (1000, [(Claim(), {0: Claim()}), (Claim(), {1: Claim()})])
    assert up.branches == []
