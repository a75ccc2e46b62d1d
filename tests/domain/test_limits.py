from vpn.domain.limits import Limits, inherited


def test_of_each_field_the_nearest_that_is_said_holds():
    user = Limits(max_connections=5)
    staff = Limits(max_connections=20, down=1_000_000)
    everyone = Limits(down=5_000, up=7_000)
    assert inherited([user, staff, everyone]) == Limits(max_connections=5, down=1_000_000, up=7_000)


def test_no_limit_can_be_said_outright():
    free = Limits(down=0, sources=())
    assert inherited([free, Limits(down=8, sources=("10.0.0.0/8",))]) == free


def test_without_anything_said_there_is_no_limit():
    assert inherited([]) == Limits()
