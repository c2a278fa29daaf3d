"""Payloads of other systems as pydantic models: what is read is named and typed, all else is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason
from service_event_checker.remote.values import moment, text

_PROBLEMS = {
    "missing": "is missing",
    "string_type": "is not text",
    "int_type": "is not a whole number",
    "bool_type": "is neither true nor false",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
}


class Payload(BaseModel):
    """The base of all models of what other systems send; types are not converted, input is never part of an error."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, hide_input_in_errors=True)


def _or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


# For what a payload can be read without: "" for what is not text, None for what is not a time, or not as declared.
Text = Annotated[str, BeforeValidator(text)]
Moment = Annotated[datetime | None, BeforeValidator(moment)]
OR_NONE = WrapValidator(_or_none)

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], payload: Any, hint: str) -> Model:
    """Return a webhook's payload as a model. Raises InvalidInput with the place of the first mistake, and `hint`."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        place, problem = _first(error)
        raise InvalidInput(place or "body", problem, hint) from None


def answered(model: type[Model], value: Mapping[str, Any] | Any, what: str) -> Model:
    """Return a part of an answer as a model; `what` names it. Raises DeliveryError(GARBAGE)."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        place, problem = _first(error)
        raise DeliveryError(Reason.GARBAGE, f"the answer is not {what}: {place or 'it'} {problem}") from None


def _first(error: ValidationError) -> tuple[str, str]:
    """Return the place of the first mistake (`issue.fields[0]`, `fields['System.State']`), and what is wrong there."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ""
    for part in first["loc"]:
        place += f"[{part!r}]" if isinstance(part, int) or "." in part else f".{part}"
    said = first["msg"].removeprefix("Value error, ")
    return place.removeprefix("."), _PROBLEMS.get(first["type"], said[:1].lower() + said[1:])
