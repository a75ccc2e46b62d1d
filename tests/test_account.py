import os
import pwd

import pytest

from tests.support.unprivileged import ACCOUNT, needs_root
from vpn import account as accounts
from vpn.domain.errors import Invalid, Unavailable


def test_accounts():
    account = accounts.find_account(ACCOUNT)
    assert account.uid == pwd.getpwnam(ACCOUNT).pw_uid
    assert account.gid in account.groups


@pytest.mark.parametrize(
    ("name", "code"),
    [("no-such-account", "unknown_account"), ("a\0b", "unknown_account"), ("root", "account_is_root")],
)
def test_accounts_that_will_not_do(name, code):
    with pytest.raises(Invalid) as caught:
        accounts.find_account(name)
    assert caught.value.code == code


def test_a_program_out_of_reach(tmp_path, monkeypatch):
    needs_root()
    tmp_path.chmod(0o700)
    program = tmp_path / "python"
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(Unavailable, match=f"{ACCOUNT} cannot reach {program}"):
        accounts.check_access(accounts.find_account(ACCOUNT))
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_owners_and_ourselves(tmp_path):
    owner = accounts.owner_of(tmp_path)
    assert owner is not None
    assert owner.uid == os.geteuid()
    assert accounts.own_name() == owner.name


def test_an_owner_without_a_name(tmp_path):
    needs_root()
    os.chown(tmp_path, 2**31, -1)
    assert accounts.owner_of(tmp_path) is None
