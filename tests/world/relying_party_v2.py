"""pyHanko with the member names of CSC API 2.2: it asks, polls for the answer, and collects.

pyHanko itself writes v1's names whatever the address says; what is renamed here is nothing else.
"""

import asyncio
from typing import Any

import aiohttp
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCCredentialInfo,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)

from tests.world.relying_party import Account, Http, Refused, Wish, sign_one

LOOK_SECONDS = 0.1
HASH_OIDS = {"sha256": "2.16.840.1.101.3.4.2.1", "sha512": "2.16.840.1.101.3.4.2.3"}
ACCEPTED, DONE = 202, 200


class PolledApproval(CSCAuthorizationManager):
    """Gets a handle, and asks until the phone has answered."""

    def __init__(
        self,
        info: CSCServiceSessionInfo,
        credential: CSCCredentialInfo,
        *,
        http: Http,
        wish: Wish,
    ) -> None:
        super().__init__(info, credential)
        self._http = http
        self._wish = wish

    async def authorize_signature(self, hash_b64s: list[str]) -> CSCAuthorizationInfo:
        body = self.format_csc_auth_request(hash_b64s=hash_b64s, description=self._wish.description)
        body["hashes"] = body.pop("hash")
        body["hashAlgorithmOID"] = HASH_OIDS[self._wish.md_algorithm]
        body["authData"] = [{"id": "app"}]
        status, answer = await self._call("credentials/authorize", body | self._wish.shown)
        while status == ACCEPTED:
            assert answer.keys() == {"handle"}
            await asyncio.sleep(LOOK_SECONDS)
            status, answer = await self._call("credentials/authorizeCheck", answer)
        return self.parse_csc_auth_response(answer)

    async def _call(self, method: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        url = f"{self._http.account.service}/csc/v2/{method}"
        headers = {"Authorization": f"Bearer {self._http.token}"}
        async with self._http.session.post(url, json=body, headers=headers) as answer:
            told: dict[str, Any] = await answer.json()
            if answer.status not in {ACCEPTED, DONE}:
                raise Refused(status=answer.status, error=told)
            return answer.status, told


class SignerOfV2(CSCSigner):
    """Collects by v2's names."""

    async def format_csc_signing_req(
        self, tbs_hashes: list[str], digest_algorithm: str
    ) -> dict[str, Any]:
        body: dict[str, Any] = await super().format_csc_signing_req(tbs_hashes, digest_algorithm)
        body["hashes"] = body.pop("hash")
        body["hashAlgorithmOID"] = body.pop("hashAlgo")
        return body


async def sign(account: Account, wish: Wish) -> list[bytes]:
    """Have documents signed under one approval; gives them in their order."""
    async with aiohttp.ClientSession() as session:
        http = Http(session, account)
        await http.sign_in()
        listed = await http.call("v2/credentials/list", {"userID": wish.login})
        info = CSCServiceSessionInfo(
            account.service, listed["credentialIDs"][0], oauth_token=http.token, api_ver="v2"
        )
        credential = await fetch_certs_in_csc_credential(session, info)
        signer = SignerOfV2(
            session,
            PolledApproval(info, credential, http=http, wish=wish),
            batch_size=len(wish.documents),
        )
        tasks = [sign_one(signer, document, wish) for document in wish.documents]
        return list(await asyncio.gather(*tasks))
