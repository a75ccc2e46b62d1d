import stat

import pytest

from vpn.data_directory import DataDirectory
from vpn.domain.errors import Conflict, Unavailable


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_private_and_locked(tmp_path):
    path = tmp_path / "a" / "data"
    with DataDirectory(path):
        assert mode(path) == 0o700
        with pytest.raises(Conflict) as caught:
            DataDirectory(path).__enter__()
        assert caught.value.code == "already_running"
    with DataDirectory(path):
        pass


def test_an_empty_or_evidently_own_directory_is_made_private(tmp_path):
    tmp_path.chmod(0o755)
    with DataDirectory(tmp_path):
        assert mode(tmp_path) == 0o700
    tmp_path.chmod(0o750)
    with DataDirectory(tmp_path):
        assert mode(tmp_path) == 0o700


def test_a_directory_with_other_things_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "lock").mkdir()
    (tmp_path / "other").touch()
    with pytest.raises(Unavailable) as caught:
        DataDirectory(tmp_path).__enter__()
    assert caught.value.code == "data_dir_exposed"
    assert mode(tmp_path) == 0o755


def test_a_token_is_made_once_and_is_private(tmp_path):
    with DataDirectory(tmp_path / "data") as directory:
        token = directory.read_token()
        assert token.startswith("vpn_")
        assert len(token) > 40
        assert directory.read_token() == token
        assert mode(directory.token) == 0o600


@pytest.mark.parametrize(
    ("content", "bits", "code"), [("", 0o600, "token_damaged"), ("x" * 40, 0o644, "token_exposed")]
)
def test_a_token_that_is_of_no_use(tmp_path, content, bits, code):
    with DataDirectory(tmp_path / "data") as directory:
        directory.token.write_text(content)
        directory.token.chmod(bits)
        with pytest.raises(Unavailable) as caught:
            directory.read_token()
        assert caught.value.code == code


def test_the_socket_is_private_and_one_left_behind_does_not_matter(tmp_path):
    with DataDirectory(tmp_path / "data") as directory:
        directory.listen().close()
        assert directory.api_socket.exists()
        with directory.listen():
            assert mode(directory.api_socket) == 0o600


def test_a_path_too_long_for_a_socket(tmp_path):
    with DataDirectory(tmp_path / ("x" * 100)) as directory, pytest.raises(Unavailable, match="too long"):
        directory.listen()
