import os
import pwd
import shutil

from tests.support.child import in_child
from tests.support.unprivileged import ACCOUNT, needs_root, open_directory
from vpn import privileges
from vpn.account import find_account
from vpn.capabilities import Capability


def off(**differences):
    facts = {"held": frozenset(), "first_port": 1024, "most_files": 4096, "user": "", "own": "alice"}
    return privileges.switched_off(**facts | differences)


def test_what_an_ordinary_account_cannot_do():
    assert off() == ["listening on ports below 1024", "more than 4096 open files", "going on as another account"]


def test_what_it_can_do_after_all():
    assert off(held=frozenset(Capability), user="alice") == []
    assert off(first_port=0)[0] == "more than 4096 open files"
    assert off(first_port=80)[0] == "listening on ports below 80"


def test_an_account_that_is_ignored_is_said():
    assert off(user="bob")[-1] == "going on as another account, so process.user (bob) is ignored"


def test_nothing_comes_back():
    needs_root()
    account = find_account(ACCOUNT)
    with open_directory() as directory:
        setuid_shell = directory / "id"
        shutil.copy(shutil.which("id"), setuid_shell)
        setuid_shell.chmod(0o4755)
        found = in_child(
            """
            import os, subprocess
            from vpn import privileges
            from vpn.account import find_account
            os.setgroups([0, 1, 2])
            privileges.drop(find_account(sys.argv[1]), keep=privileges.KEPT)
            tries = [
                lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]),
                lambda: os.setresuid(-1, -1, 0), lambda: os.setegid(0), lambda: os.chown("/", 0, 0),
                lambda: open("/etc/shadow"),
            ]
            back = []
            for number, attempt in enumerate(tries):
                try:
                    attempt()
                    back.append(number)
                except PermissionError:
                    pass
            euid = subprocess.run([sys.argv[2], "-u"], stdout=subprocess.PIPE, check=True).stdout
            who = [os.getresuid(), os.getresgid(), sorted(os.getgroups())]
            answer([back, int(euid), who, os.environ["HOME"]])
            """,
            ACCOUNT,
            str(setuid_shell),
        )
    who = [[account.uid] * 3, [account.gid] * 3, sorted(account.groups)]
    assert found == [[], account.uid, who, account.home]


def test_low_ports_can_still_be_opened():
    needs_root()
    assert in_child(
        """
        import os, socket
        from vpn import privileges
        from vpn.account import find_account

        def may_bind():
            for port in range(1023, 600, -1):
                with socket.socket() as sock:
                    try:
                        sock.bind(("127.0.0.1", port))
                        return True
                    except PermissionError:
                        return False
                    except OSError:
                        pass

        privileges.drop(find_account(sys.argv[1]), keep=privileges.KEPT)
        answer(may_bind())
        """,
        ACCOUNT,
    )


def test_threads_are_a_defect():
    needs_root()
    assert in_child(
        """
        import os, threading
        from vpn import privileges
        from vpn.account import find_account
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        try:
            privileges.drop(find_account(sys.argv[1]), keep=frozenset())
            outcome = ""
        except RuntimeError as error:
            outcome = str(error)
        done.set()
        thread.join()
        answer([outcome, os.geteuid()])
        """,
        ACCOUNT,
    ) == ["privileges cannot be dropped: there are other threads", 0]


def test_root_follows_the_owner_of_a_directory(monkeypatch):
    needs_root()
    dropped = []
    monkeypatch.setattr(privileges, "drop", lambda account, *, keep: dropped.append((account.name, keep)))
    monkeypatch.setattr(privileges, "check_access", lambda account: None)
    with open_directory() as directory:
        privileges.follow_owner(directory)
        privileges.follow_owner(directory / "missing")
        assert dropped == []
        os.chown(directory, pwd.getpwnam(ACCOUNT).pw_uid, 0)
        privileges.follow_owner(directory)
    assert dropped == [(ACCOUNT, frozenset())]


def test_root_without_the_means():
    needs_root()
    code, message = in_child(
        """
        from vpn import capabilities, privileges
        from vpn.domain.errors import Unavailable
        capabilities.hold_only(frozenset())
        try:
            privileges.settle(sys.argv[1], None)
        except Unavailable as error:
            answer([error.code, error.message])
        """,
        ACCOUNT,
    )
    assert code == "cannot_drop_privileges"
    assert message == f"cannot go on as {ACCOUNT}: Operation not permitted"
