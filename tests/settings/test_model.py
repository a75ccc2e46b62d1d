from pathlib import Path

import pytest
from pydantic import ValidationError

from vpn.settings.model import Section, Settings


def sections(model=Settings, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from sections(field.annotation, f"{name}.")
        else:
            yield f"{prefix}{name}", field


@pytest.mark.parametrize(("name", "field"), list(sections()))
def test_every_setting_is_described(name, field):
    assert field.description
    assert field.description.endswith(".")


def test_settings_cannot_be_changed():
    settings = Settings(data_dir=Path("/d"))
    with pytest.raises(ValidationError):
        settings.proxy.workers = 2
