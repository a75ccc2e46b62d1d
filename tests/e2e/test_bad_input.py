"""What goes wrong is said clearly, with an exit code, and leaves nothing half-written."""

import shlex
import shutil
import socket
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.daemon import VPN, environment, running_daemon, vpn

LISTEN = {"VPN_PROXY__LISTEN": "127.0.0.1:0", "VPN_API__LISTEN": "127.0.0.1:0"}


def fails(data_dir, *arguments, code, says, **variables):
    """A command fails as it should: two lines, no traceback."""
    result = vpn(data_dir, *arguments, **variables)
    assert result.code == code, result
    assert says in result.err, result
    assert "Traceback" not in result.err
    assert result.err.startswith("vpn: ")
    assert len(result.err.strip().splitlines()) == 2
    return result


@pytest.mark.parametrize("setting", ["VPN_PROXY__LISTEN", "VPN_API__LISTEN"])
def test_a_port_in_use(data_dir, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        fails(data_dir, "serve", code=7, says=f"cannot listen on {address}", **LISTEN | {setting: address})
    assert not data_dir.exists(), "nothing was made"


def test_an_address_that_is_not_ours(data_dir):
    fails(data_dir, "serve", code=7, says="cannot listen on 192.0.2.1:1080", VPN_PROXY__LISTEN="192.0.2.1:1080")


def test_a_data_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    fails(tmp_path / "file" / "data", "serve", code=7, says="cannot be used", **LISTEN)
    fails(tmp_path / "file" / "data", "users", "list", code=7, says="cannot be used")


def test_a_directory_that_is_somebody_elses(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").touch()
    fails(tmp_path, "serve", code=7, says="holds other things", **LISTEN)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_second_daemon(data_dir):
    with running_daemon(data_dir) as daemon:
        fails(data_dir, "serve", code=5, says=f"number {daemon.process.pid}", **LISTEN)
        assert daemon.vpn("status").code == 0


@pytest.fixture
def used(data_dir):
    """A data directory that has been used."""
    assert vpn(data_dir, "users", "add", "alice").code == 0
    return data_dir


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def test_a_damaged_key_file(used):
    (used / "key").write_text("vpn-manager-key-1 nonsense x\n")
    before = contents(used)
    fails(used, "serve", code=7, says="key is damaged", **LISTEN)
    assert contents(used) == before


def test_a_missing_key_file_is_not_made_anew(used):
    (used / "key").unlink()
    fails(used, "serve", code=7, says="key", **LISTEN)
    assert not (used / "key").exists()


def test_the_key_of_another_database(used, tmp_path):
    assert vpn(tmp_path / "other", "users", "list").code == 0
    shutil.copy(tmp_path / "other" / "key", used / "key")
    fails(used, "serve", code=7, says="is not the key of this database", **LISTEN)


def test_a_database_of_a_newer_version(used):
    with sqlite3.connect(used / "vpn.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    fails(used, "serve", code=7, says="written by a newer version", **LISTEN)
    fails(used, "users", "add", "bob", code=7, says="written by a newer version")
    with sqlite3.connect(used / "vpn.db") as database:
        assert database.execute("SELECT name FROM users").fetchall() == [("alice",)]
    database.close()


def test_a_damaged_database(used):
    (used / "vpn.db").write_bytes(b"garbage" * 1000)
    fails(used, "serve", code=7, says="not a database", **LISTEN)


def test_a_configuration_with_a_typo(data_dir, tmp_path):
    config = tmp_path / "vpn.yaml"
    config.write_text("proxy:\n  listen: 127.0.0.1:0\n  handshake_timout: 5\n")
    result = fails(data_dir, "serve", "--config", str(config), code=3, says=f"{config}:3: there is no setting")
    assert "did you mean proxy.handshake_timeout?" in result.err
    assert not data_dir.exists()


@pytest.mark.parametrize("running", [True, False])
def test_bad_users(data_dir, running):
    def check():
        fails(data_dir, "users", "add", "ALICE", code=5, says="there is a user ALICE already")
        fails(data_dir, "users", "add", "a b", code=3, says="'a b' has characters")
        fails(data_dir, "users", "add", "", code=3, says="the user name is empty")
        fails(data_dir, "users", "add", "bob", "--password", "", code=3, says="the password is empty")
        fails(data_dir, "users", "show", "nobody", code=4, says="there is no user nobody")
        fails(data_dir, "users", "disable", "../etc", code=4, says="../etc")
        fails(data_dir, "users", "show", "", code=4, says="Not Found")

    assert vpn(data_dir, "users", "add", "alice").code == 0
    if running:
        with running_daemon(data_dir):
            check()
    else:
        check()
    assert vpn(data_dir, "users", "list", "--format", "plain").out.count("\n") == 1


def test_no_daemon_and_a_wrong_server(data_dir):
    fails(data_dir, "status", code=7, says="no daemon is running")
    fails(data_dir, "users", "list", "--server", "http://127.0.0.1:1", "--token", "x", code=7, says="refused")
    fails(data_dir, "users", "list", "--server", "ftp://x", "--token", "x", code=7, says="is not the URL of a server")
    fails(data_dir, "users", "list", "--server", "http://127.0.0.1:1", code=7, says="no token")


def test_a_wrong_token(daemon):
    fails(daemon.data_dir, "users", "list", "--server", daemon.api, "--token", "x", code=6, says="the token is")
    right = (daemon.data_dir / "api-token").read_text().strip()
    assert vpn(daemon.data_dir, "users", "list", "--server", daemon.api, VPN_TOKEN=right).code == 0
    assert vpn(daemon.data_dir, "users", "list", "--server", daemon.api).code == 0, "it lies in the data directory"


def test_a_database_that_is_locked_costs_an_error_and_no_secret(data_dir):
    with running_daemon(data_dir) as daemon:
        other = sqlite3.connect(data_dir / "vpn.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        secret = "no-one-shall-see-this"
        fails(data_dir, "users", "add", "bob", "--password", secret, code=7, says="database is locked")
        other.execute("ROLLBACK")
        other.close()
        assert secret not in daemon.err
        assert "argon2id" not in daemon.err
        assert daemon.vpn("users", "add", "bob", "--password", secret).code == 0


def test_the_token_of_this_machine_is_not_sent_elsewhere(daemon):
    fails(daemon.data_dir, "users", "list", "--server", "http://192.0.2.1", code=7, says="no token for 192.0.2.1")


@pytest.mark.parametrize("server", ["http://[::1", "http://a..b", "http://exa mple", "http://h:port", "http://u:pw@"])
def test_what_is_no_server(data_dir, server):
    result = fails(data_dir, "status", "--server", server, "--token", "x", code=7, says="is not the URL of a server")
    assert "pw" not in result.err
    without_token = vpn(data_dir, "status", "--server", server)
    assert without_token.code == 7, without_token
    assert "internal error" not in without_token.err


def test_no_password_in_an_error_of_the_settings(data_dir):
    for variable in ("VPN_DATABASE", "VPN_DATABASE__URL"):
        result = vpn(data_dir, "serve", **{variable: "mongodb://u:topsecret@h/d"})
        assert result.code == 3, result
        assert "topsecret" not in result.err


@pytest.mark.parametrize("name", ["we?ird", "pc%41t", "a#b", "\u00fc b", "x" * 150])
def test_odd_paths(tmp_path, name):
    assert vpn(tmp_path / name, "users", "add", "alice").code == 0
    assert (tmp_path / name / "vpn.db").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_an_empty_variable_is_not_set_and_a_home_is_found(tmp_path):
    variables = {"VPN_DATA_DIR": "", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "xdg")}
    config = tmp_path / "c.yaml"
    config.write_text("data_dir: ~/mine\n")
    assert vpn(tmp_path, "users", "list", "--config", str(config), **variables).code == 0
    assert (tmp_path / "mine" / "vpn.db").exists()


def test_many_commands_at_once_without_a_daemon(data_dir):
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: vpn(data_dir, "users", "add", f"user{number}"), range(8)))
    assert [result.code for result in results] == [0] * 8
    assert vpn(data_dir, "users", "list", "--format", "plain").out.count("\n") == 8


def test_a_reader_who_has_had_enough_and_a_full_disk(data_dir):
    assert vpn(data_dir, "users", "add", "alice").code == 0
    command = f"{shlex.quote(str(VPN))} users list"
    for shell, code in ((f"{command} | true; exit ${{PIPESTATUS[0]}}", 0), (f"{command} > /dev/full", 7)):
        done = subprocess.run(
            ["bash", "-c", shell], env=environment(data_dir), capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr


def test_closed_streams_are_no_defect(data_dir):
    for streams in (">&-", "2>&-", "<&- >&- 2>&-"):
        command = ["bash", "-c", f"{shlex.quote(str(VPN))} users list {streams}"]
        assert subprocess.run(command, env=environment(data_dir), capture_output=True, check=False).returncode == 0


def test_tracebacks_only_when_asked_for(data_dir):
    for value in ("0", "false", ""):
        fails(data_dir, "users", "show", "nobody", code=4, says="no user", VPN_VERBOSE=value)
    assert "Traceback" in vpn(data_dir, "users", "show", "nobody", VPN_VERBOSE="1").err
