"""The JSON around every answer of the 2018-07-17 API."""

from __future__ import annotations

from vodsprite.api.call import Fields

LONGEST_MESSAGE = 1000


def success(fields: Fields, request_id: str) -> Fields:
    """Return the answer that carries *fields*."""
    return {"Response": {**fields, "RequestId": request_id}}


def failure(code: str, message: str, request_id: str) -> Fields:
    """Return the answer that tells of an error."""
    error = {"Code": code, "Message": message[:LONGEST_MESSAGE]}
    return {"Response": {"Error": error, "RequestId": request_id}}
