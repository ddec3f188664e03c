// A relying party by the npm library openid-client, which is not ours. It speaks with the test that
// started it in lines of JSON: an address to be opened in the signer's browser goes out, where the
// browser ended comes back. What it did stands in the last line.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

// Node 18 has them, but not as globals.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const library = await import("openid-client");
const { issuer, clientId, secret, redirectUri, credential, hashes, bound } = JSON.parse(
  process.env.RELYING_PARTY,
);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const insecure = { execute: [library.allowInsecureRequests] }; // http on the loopback

const byBasic = await library.discovery(
  new URL(issuer), clientId, undefined, library.ClientSecretBasic(secret),
  { ...insecure, algorithm: "oauth2" },
);
// The same under the name that OpenID gives it, with the secret in the form.
const byPost = await library.discovery(
  new URL(issuer), clientId, undefined, library.ClientSecretPost(secret), insecure,
);
const proof = bound
  ? { DPoP: library.getDPoPHandle(byBasic, await library.randomDPoPKeyPair("ES256")) }
  : {};

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function authorize(config, parameters) {
  const pkceCodeVerifier = library.randomPKCECodeVerifier();
  const expectedState = library.randomState();
  const address = await library.buildAuthorizationUrlWithPAR(
    config,
    {
      redirect_uri: redirectUri,
      code_challenge: await library.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: "S256",
      state: expectedState,
      ...parameters,
    },
    proof,
  );
  tell({ open: address.href });
  const back = new URL(JSON.parse((await lines.next()).value));
  return library.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState },
    undefined, proof);
}

async function call(token, method, body) {
  try {
    const answer = await library.fetchProtectedResource(
      byBasic, token, new URL(`${issuer}/csc/v2/${method}`), "POST",
      JSON.stringify(body), new Headers({ "content-type": "application/json" }), proof,
    );
    return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
  } catch (error) {
    return { status: error.status ?? error.response?.status, body: null };
  }
}

async function refused(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return error.error ?? error.code;
  }
}

const first = await authorize(byBasic, { scope: "service" });
const listed = await call(first.access_token, "credentials/list", {});
const second = await library.refreshTokenGrant(byPost, first.refresh_token, undefined, proof);
const listedAgain = await call(second.access_token, "credentials/list", {});
await library.tokenRevocation(byPost, second.access_token);
const afterRevocation = await call(second.access_token, "credentials/list", {});
const third = await library.refreshTokenGrant(byBasic, second.refresh_token, undefined, proof);
await library.tokenRevocation(byBasic, third.refresh_token);
const familyIsDead = await refused(
  library.refreshTokenGrant(byBasic, third.refresh_token, undefined, proof),
);

const details = [
  {
    type: "https://cloudsignatureconsortium.org/2025/credential",
    credentialID: credential,
    documentDigests: hashes.map((hash) => ({ hash })),
    hashAlgorithmOID: "2.16.840.1.101.3.4.2.1",
  },
];
const sad = await authorize(byPost, {
  scope: "credential",
  authorization_details: JSON.stringify(details),
});
const signed = await call(sad.access_token, "signatures/signHash", {
  credentialID: credential, hashes, signAlgo: "1.2.840.10045.4.3.2",
});
tell({
  done: {
    listed, listedAgain, afterRevocation, familyIsDead, signed,
    types: [first.token_type, second.token_type, sad.token_type],
    tokens: new Set([first, second, third].map((each) => each.refresh_token)).size,
    sadIsRefreshable: "refresh_token" in sad,
    alone: await refused(library.clientCredentialsGrant(byBasic, { scope: "credential" }, proof)),
  },
});
process.exit(0);
