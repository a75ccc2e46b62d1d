import os

import pytest

from vpn.domain.errors import Invalid, Unavailable
from vpn.services.policy_source import compile_document, compile_file, signature
from vpn.settings.policy import PolicySettings


def test_a_file_is_told_with_its_lines(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('[global]\ndefault_policy = "allow"\n[[users]]\nusername = "a"\n[[users.rules]]\naction = "deny"\n')
    with pytest.raises(Invalid) as caught:
        compile_file(path, None)
    assert caught.value.message == f"{path}:6: users.0.rules.0.action: 'deny' is no action"
    with pytest.raises(Unavailable):
        compile_file(tmp_path / "none.yaml", None)


def test_a_file_is_a_version(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("default: allow\n")
    os.utime(path, (0, 86400))
    version, rules = compile_file(path, None)
    assert (version.number, version.policy.default, version.created_at.timestamp()) == (0, "allow", 86400)
    assert rules.policy is version.policy


def test_countries_need_their_file():
    with pytest.raises(Invalid, match="country:DE"):
        compile_document({"users": {"a": {"rules": [{"action": "block", "destinations": "country:DE"}]}}}, None)


def test_signatures_tell_that_a_file_was_written_or_replaced(tmp_path):
    path = tmp_path / "p.yaml"
    settings = PolicySettings(mode="file", file=path)
    seen = [signature(settings)]
    path.write_text("a")
    seen.append(signature(settings))
    path.write_text("ab")
    seen.append(signature(settings))
    (tmp_path / "new").write_text("ab")
    os.utime(tmp_path / "new", ns=(0, path.stat().st_mtime_ns))
    (tmp_path / "new").rename(path)
    seen.append(signature(settings))
    assert len(set(seen)) == 4
    assert signature(PolicySettings()) == ()
