"""Strict validation, as the API server in memory does it when it is asked to."""

import json
from typing import Any

from tests.contract.crd_schema import violations

from sympozium_api.client import ApiError
from sympozium_api.generate.crds import KINDS, definition

Object = dict[str, Any]


def check(plural: str, name: str, body: Object, *, of_a_patch: bool = False) -> None:
    """As the API server does with ``fieldValidation=Strict``: fields that it does not know are 400, or in a patch 422 with
    the whole object in the message; wrong ones are 422.
    """
    [kind] = [known for known in KINDS if known.plural == plural]
    [version] = definition(kind)["spec"]["versions"]
    wrong = list(violations(body, version["schema"]["openAPIV3Schema"]))
    unknown = [line.removesuffix(": unknown").lstrip(".") for line in wrong if line.endswith(": unknown")]
    if unknown:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        quoted = f' "" is invalid: patch: Invalid value: {json.dumps(json.dumps(body))}: ' if of_a_patch else ""
        message = f"{quoted}strict decoding error: {listed}"
        status, reason = (422, "Invalid") if of_a_patch else (400, "BadRequest")
        raise ApiError(status, {"reason": reason, "message": message})
    if wrong:
        causes = [
            {"reason": "FieldValueInvalid", "field": path.lstrip("."), "message": message}
            for path, message in (line.split(": ", 1) for line in wrong)
        ]
        causes.append({"reason": "FieldValueInvalid", "field": "<nil>", "message": "some rules were not checked"})
        body = {"reason": "Invalid", "message": f"{name} is invalid: {wrong[0]}", "details": {"causes": causes}}
        raise ApiError(422, body)
