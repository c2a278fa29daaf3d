"""Our `replace` makes what that of `dataclasses` makes, for every value of the model."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Alert, ObjectRef
from service_event_checker.core.replacing import replace
from tests.factories import alert

FIELDS = [field.name for field in dataclasses.fields(Alert)]


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(), max_size=5))
def test_it_makes_what_the_standard_one_makes(changes: dict[str, str]) -> None:
    known = alert()

    assert replace(known, **changes) == dataclasses.replace(known, **changes)  # type: ignore[arg-type]
    assert known == alert()


def test_a_small_value_is_replaced_as_a_large_one() -> None:
    assert replace(ObjectRef("1", "there"), url="") == ObjectRef("1")


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="ObjectRef has no field uri"):
        replace(ObjectRef("1"), uri="there")
