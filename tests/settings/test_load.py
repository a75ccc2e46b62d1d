from pathlib import Path

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings

HOME = {"HOME": "/nowhere"}


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_defaults_are_safe():
    settings = load_settings(HOME)
    assert settings.proxy.listen == Endpoint("127.0.0.1", 1080)
    assert settings.api.listen == Endpoint("127.0.0.1", 9090)
    assert settings.proxy.private_destinations == "refuse"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "proxy:\n  listen: '[::1]:1'\n  workers: 3\n"),
        ("c.toml", "[proxy]\nlisten = '[::1]:1'\nworkers = 3\n"),
        ("c.json", '{"proxy": {"listen": "[::1]:1", "workers": 3}}'),
    ],
)
def test_flags_beat_environment_beats_file_beats_defaults(tmp_path, name, text):
    config = write(tmp_path, name, text)
    settings = load_settings(HOME, config=config)
    assert (settings.proxy.listen, settings.proxy.workers) == (Endpoint("::1", 1), 3)
    assert settings.proxy.idle_timeout == 600

    environment = HOME | {"VPN_PROXY__WORKERS": "4", "VPN_DATA_DIR": "/d"}
    settings = load_settings(environment, config=config)
    assert (settings.proxy.listen.port, settings.proxy.workers, settings.data_dir) == (1, 4, Path("/d"))

    settings = load_settings(environment, config=config, flags={"proxy.workers": "5"})
    assert settings.proxy.workers == 5


def test_the_file_can_be_named_by_the_environment_or_found(tmp_path):
    write(tmp_path, "config.yaml", "log: {level: debug}")
    assert load_settings(HOME | {"VPN_CONFIG": str(tmp_path / "config.yaml")}).log.level == "debug"
    (tmp_path / "vpn-manager").mkdir()
    write(tmp_path / "vpn-manager", "config.toml", "log.level = 'error'")
    assert load_settings(HOME | {"XDG_CONFIG_HOME": str(tmp_path)}).log.level == "error"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("c.yaml", "# hello\nproxy:\n  workers: 2\n  listne: x\n", 4),
        ("c.toml", "[log]\nlevel = 'info'\n[proxy]\nlistne = 'x'\n", 4),
        ("c.toml", "\nproxy.listne = 'x'\n", 2),
        ("c.json", '{\n"proxy": {\n"listne": "x"}}', 3),
    ],
)
def test_a_typo_is_named_with_its_line_and_the_right_spelling(tmp_path, name, text, line):
    config = write(tmp_path, name, text)
    with pytest.raises(Invalid) as caught:
        load_settings(HOME, config=config)
    assert caught.value.message == f"{config}:{line}: there is no setting proxy.listne"
    assert caught.value.hint == "did you mean proxy.listen?"


@pytest.mark.parametrize(
    ("variable", "value", "message", "hint"),
    [
        ("VPN_PROXI__LISTEN", "x", "VPN_PROXI__LISTEN: there is no setting proxi", "did you mean proxy?"),
        (
            "VPN_QUUX",
            "x",
            "VPN_QUUX: there is no setting quux",
            "known are data_dir, server, subscriptions, proxy, policy, bans, shaping, sessions, statistics, metrics,",
        ),
        ("VPN_LOG__LEVEL", "loud", "VPN_LOG__LEVEL: log.level cannot be 'loud'", "expected 'debug', "),
        ("VPN_PROXY__WORKERS", "0", "VPN_PROXY__WORKERS: proxy.workers cannot be '0'", "expected greater than"),
        ("VPN_PROXY__LISTEN", "1080", "VPN_PROXY__LISTEN: proxy.listen cannot be '1080'", "expected an address and"),
        ("VPN_PROXY__IDLE_TIMEOUT", "nan", "VPN_PROXY__IDLE_TIMEOUT: proxy.idle_timeout cannot", "expected a finite"),
    ],
)
def test_bad_variables_are_named(variable, value, message, hint):
    with pytest.raises(Invalid) as caught:
        load_settings(HOME | {variable: value})
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


def test_a_bad_flag_is_named():
    with pytest.raises(Invalid) as caught:
        load_settings(HOME, flags={"proxy.worker": "2"})
    assert caught.value.message == "--set proxy.worker: there is no setting proxy.worker"
    assert caught.value.hint == "did you mean proxy.workers?"


def test_several_mistakes_are_all_named(tmp_path):
    config = write(tmp_path, "c.yaml", "proxy:\n  listne: 1\n  workers: many\n")
    with pytest.raises(Invalid) as caught:
        load_settings(HOME, config=config)
    assert f"{config}:2: there is no setting proxy.listne" in caught.value.message
    assert f"{config}:3: proxy.workers cannot be 'many'" in caught.value.message


def test_the_database_url_is_not_repeated(tmp_path):
    config = write(tmp_path, "c.yaml", "database: {url: [postgresql://me:topsecret@host/x]}")
    with pytest.raises(Invalid) as caught:
        load_settings(HOME, config=config)
    assert "topsecret" not in caught.value.message + caught.value.hint


def test_variables_for_others_are_left_alone():
    others = {"VPN_SERVER": "x", "VPN_TOKEN": "x", "VPN_FORMAT": "json", "VPN_SERVICE_HOST": "x", "VPN_PORT_1_TCP": "x"}
    assert load_settings(HOME | others) == load_settings(HOME)
