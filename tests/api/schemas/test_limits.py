"""The schemas say field by field what the domain has; nothing may be missing."""

import pytest

from vpn.api.schemas.limits import LimitChanges, LimitsView, SharedChanges, SharedView
from vpn.domain.limits import Limits, Shared


@pytest.mark.parametrize(
    ("schema", "kind"),
    [(LimitChanges, Limits), (LimitsView, Limits), (SharedChanges, Shared), (SharedView, Shared)],
)
def test_every_field_is_there(schema, kind):
    assert set(schema.model_fields) == set(kind.__struct_fields__)
    assert all(field.description for field in schema.model_fields.values())


def test_what_is_not_said_is_not_shown():
    assert LimitsView.of_limits(Limits(down=0, sources=())).model_dump(exclude_none=True) == {"down": 0, "sources": []}
    assert SharedView.of(Shared(share=2)).model_dump(exclude_none=True) == {"share": 2}
