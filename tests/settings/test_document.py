import pytest

from vpn.domain.errors import Invalid, Unavailable
from vpn.settings.document import LARGEST, read_document


def test_lines_of_nested_keys(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: 1\nb:\n  c: 2\n")
    document = read_document(path)
    assert document.values == {"a": 1, "b": {"c": 2}}
    assert document.where(["b", "c"]) == f"{path}:3"
    assert document.where(["nix"]) == str(path)


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        (
            "c.yaml",
            "groups:\n  staff:\n    rules:\n      - action: x\n      - action: y\n        ports: 1\n",
            {("groups", "staff", "rules", 1, "ports"): 6, ("groups", "staff", "rules", "1"): 5, ("groups", "x"): 1},
        ),
        (
            "c.toml",
            "[global]\na = 1\n[[users]]\nname='a'\n[[users]]\nname='b'\n[[users.rules]]\n[[users.rules]]\nports = 1\n",
            {
                ("global", "a"): 2,
                ("users", 0, "name"): 4,
                ("users", 1, "name"): 6,
                ("users", 1, "rules", 0): 7,
                ("users", 1, "rules", 1, "ports"): 9,
                ("users", 1, "rules", 1, "action"): 8,
            },
        ),
        ("c.json", '{"users": \n[{"rules": \n[1]}]}', {("users", 0, "rules"): 1}),
    ],
)
def test_lines_of_keys_in_lists(tmp_path, name, content, lines):
    path = tmp_path / name
    path.write_text(content)
    document = read_document(path)
    assert {key: document.where(key) for key in lines} == {key: f"{path}:{line}" for key, line in lines.items()}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.yaml", b"a: [", ":1"),
        ("c.yaml", b"a: 1\na: 2", ":2"),
        ("c.toml", b"\na =", ":2"),
        ("c.json", b'{\n"a": }', ":2"),
        ("c.json", b"[1]", "not a set of keys"),
        ("c.yaml", b"- 1", "not a set of keys"),
        ("c.yaml", b"\xff", "not UTF-8"),
        ("c.ini", b"", "no known format"),
        ("c", b"", "no known format"),
        ("c.json", b'{"a":' + b"[" * 100_000, ":1"),
        ("c.yaml", b"#" * (LARGEST + 1), "larger than"),
    ],
)
def test_what_is_no_configuration(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Invalid) as caught:
        read_document(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_an_empty_file_sets_nothing(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("")
    assert read_document(path).values == {}


def test_a_missing_file(tmp_path):
    with pytest.raises(Unavailable, match="No such file"):
        read_document(tmp_path / "c.yaml")


def test_a_value_is_not_repeated_when_its_key_is_there_twice(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("password: topsecret\npassword: another\n")
    with pytest.raises(Invalid) as caught:
        read_document(path)
    assert caught.value.message == f'{path}:2: found duplicate key "password"'
