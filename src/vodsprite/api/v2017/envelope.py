"""The JSON around every answer of the 2017 API."""

from __future__ import annotations

from vodsprite.api.call import Fields
from vodsprite.api.v2017.errors import Number

LONGEST_MESSAGE = 1000


def success(fields: Fields) -> Fields:
    """Return the answer that carries *fields*."""
    return {"code": 0, "message": "", "codeDesc": "Success", **fields}


def failure(number: Number, message: str) -> Fields:
    """Return the answer that tells of an error; its number, or the module's own, leads the message."""
    module_code = number.module_code or number.code
    return {
        "code": number.code,
        "message": f"({module_code}){message[:LONGEST_MESSAGE]}",
        "codeDesc": number.desc,
    }
