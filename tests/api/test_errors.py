"""Every domain error has its code in both generations."""

from __future__ import annotations

import inspect

import pytest

from vodsprite import errors
from vodsprite.api.v2017 import errors as errors_2017
from vodsprite.api.v2018 import errors as errors_2018

DOMAIN_ERRORS = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.VodspriteError)
]


class _Later(errors.StorageFull):
    """A class that neither table knows by name."""


@pytest.mark.parametrize("error", DOMAIN_ERRORS, ids=lambda error: error.__name__)
def test_every_domain_error_has_a_row_in_both_tables(error: type[errors.VodspriteError]) -> None:
    """Whoever adds an error class decides what each generation calls it."""
    assert error in errors_2018.CODES
    assert error in errors_2017.CODES


def test_a_subclass_is_found_by_its_base() -> None:
    """An error that no table names takes the code of the nearest class above it."""
    assert errors_2018.code_of(_Later("full"), None) == "FailedOperation"
    assert errors_2017.number_of(_Later("full")).code == 5100


def test_a_foreign_exception_is_an_internal_error() -> None:
    """What vodsprite did not raise on purpose is a fault of its own."""
    assert errors_2018.code_of(ZeroDivisionError(), None) == "InternalError"
    assert errors_2017.is_internal(errors_2017.number_of(ZeroDivisionError()))
