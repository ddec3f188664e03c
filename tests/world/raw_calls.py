"""Requests put together by hand, to lie in one part of them and in no other."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from werkzeug.test import TestResponse

from backend.virtual_phone import answers
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.phone_keys import request_key
from tests.world.service import Service


@dataclass
class RawCalls:
    """Calls of the mobile API by a paired phone; each can be told to prove something else."""

    service: Service
    phone: VirtualPhone

    def proof(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        jti: UUID | None = None,
        age_seconds: int = 0,
    ) -> str:
        """``Authorization`` for a request."""
        proof = answers.request_proof(
            key=request_key(self.phone.device().keys),
            method=method,
            url=self.service.settings.mobile_api_url + path,
            body=body,
            now=int(self.service.clock().timestamp()) - age_seconds,
            jti=jti or uuid4(),
        )
        return f"DPoP {proof}"

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        proof: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Send a request; ``proof`` may be of another one, and ``body`` bytes that are no JSON."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Authorization": proof or self.proof(method, path, sent)}
        if sent is not None:
            given["Content-Type"] = "application/json"
        return self.service.mobile_client().open(
            path, method=method, data=sent, headers=given | headers
        )


def problem(answer: TestResponse) -> tuple[int, str]:
    """Status and name of a problem document, after a look at its form (RFC 9457)."""
    document: dict[str, Any] = json.loads(answer.data)
    assert answer.mimetype == "application/problem+json"
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["type"].removeprefix("urn:cellkey:problem:")
