from vpn.domain.remembered import CAPACITY, LIFETIME, Remembered


def memory():
    return Remembered(b"k" * 32)


def test_verdicts_are_recalled_both_ways():
    remembered = memory()
    remembered.remember("alice", "right", 7, True, 0.0)
    remembered.remember("alice", "wrong", 7, False, 0.0)
    assert remembered.recall("alice", "right", 7, 1.0) is True
    assert remembered.recall("alice", "wrong", 7, 1.0) is False
    assert remembered.recall("alice", "other", 7, 1.0) is None
    assert remembered.recall("bob", "right", 7, 1.0) is None


def test_a_verdict_is_void_under_another_credential():
    remembered = memory()
    remembered.remember("alice", "right", 7, True, 0.0)
    assert remembered.recall("alice", "right", 8, 1.0) is None


def test_a_verdict_ends():
    remembered = memory()
    remembered.remember("alice", "right", 7, True, 0.0)
    assert remembered.recall("alice", "right", 7, LIFETIME) is True
    assert remembered.recall("alice", "right", 7, LIFETIME + 1) is None


def test_user_and_password_are_not_run_together():
    remembered = memory()
    remembered.remember("ab", "c", 7, True, 0.0)
    assert remembered.recall("a", "bc", 7, 0.0) is None


def test_memory_is_bounded_and_the_oldest_goes_first():
    remembered = memory()
    for number in range(CAPACITY + 1):
        remembered.remember("alice", str(number), 7, True, 0.0)
    assert remembered.recall("alice", "0", 7, 0.0) is None
    assert remembered.recall("alice", "1", 7, 0.0) is True
    assert len(remembered._accepted) == CAPACITY


def test_no_storm_of_wrong_passwords_drives_out_a_right_one():
    remembered = memory()
    remembered.remember("alice", "right", 7, True, 0.0)
    for number in range(CAPACITY + 1):
        remembered.remember("alice", str(number), 7, False, 0.0)
    assert remembered.recall("alice", "right", 7, 0.0) is True
    assert remembered.recall("alice", "0", 7, 0.0) is None


def test_a_newer_verdict_replaces_an_older_one():
    remembered = memory()
    remembered.remember("alice", "x", 7, True, 0.0)
    remembered.remember("alice", "x", 8, False, 0.0)
    assert remembered.recall("alice", "x", 7, 0.0) is None
    assert remembered.recall("alice", "x", 8, 0.0) is False


def test_the_password_is_not_kept():
    remembered = memory()
    remembered.remember("alice", "correct horse", 7, True, 0.0)
    assert "horse" not in repr((remembered._accepted, remembered._refused))
