def test_without_a_daemon_there_is_nothing_to_close(vpn):
    result = vpn("sessions", "kill", "--user", "alice", "--yes")
    assert (result.code, "no daemon is running" in result.err) == (7, True)


def test_whom_is_to_be_said_in_one_way(vpn):
    assert vpn("sessions", "kill").code == 2
    assert vpn("sessions", "kill", "0" * 16, "--user", "alice").code == 2


def test_watching_takes_only_what_there_is(vpn):
    assert "no column" in vpn("sessions", "watch", "--sort", "colour").err
    assert "not a size" in vpn("sessions", "watch", "--min-bytes", "many").err
    assert vpn("sessions", "watch").code == 7
    assert vpn("monitor").code == vpn("monitor", "--once").code == 7


def test_every_command_has_help(vpn):
    for command in (("sessions",), ("sessions", "kill"), ("sessions", "watch"), ("monitor",)):
        assert "Usage: vpn " + " ".join(command) in vpn(*command, "--help").out
