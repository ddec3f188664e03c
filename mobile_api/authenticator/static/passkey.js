// The passkey: it proves that the phone verified its user, and its PRF output opens the unlock key.
// Of the browser's answer only the members of section 2 are taken; the PRF output stays in the
// page.
// @ts-check

import { CannotAnswer } from "./errors.js";
import { b64u, unb64u } from "./protocol/bytes.js";

/** @typedef {import("./protocol/bytes.js").Bytes} Bytes */
/** @typedef {import("./protocol/answers.js").Assertion} Assertion */
/** @typedef {import("./protocol/answers.js").Registration} Registration */

const ES256 = -7;
const TIMEOUT_MS = 120_000;
const FLAGS_AT = 32;
const BARE_LENGTH = 37;
const EXTENSIONS_FOLLOW = 0x80;

/** @param {ArrayBuffer} buffer */
const written = (buffer) => b64u(new Uint8Array(buffer));

/**
 * Make a passkey.
 * @param {{ rpId: string, ca: string, name: string, userId: Bytes, challenge: Bytes, salt: Bytes,
 *   beside?: string[] }} wanted
 *   `beside`: it is to lie on a security key, which holds none of these yet
 * @returns {Promise<Registration>}
 */
export async function createPasskey({ rpId, ca, name, userId, challenge, salt, beside }) {
  const publicKey = {
    rp: { id: rpId, name: ca },
    user: { id: userId, name, displayName: name },
    challenge,
    pubKeyCredParams: [{ type: /** @type {const} */ ("public-key"), alg: ES256 }],
    authenticatorSelection: {
      residentKey: /** @type {ResidentKeyRequirement} */ (beside ? "discouraged" : "preferred"),
      userVerification: /** @type {const} */ ("required"),
      ...(beside && { authenticatorAttachment: /** @type {const} */ ("cross-platform") }),
    },
    ...(beside && { excludeCredentials: beside.map(named), hints: ["security-key"] }),
    attestation: /** @type {const} */ ("none"),
    timeout: TIMEOUT_MS,
    extensions: { prf: { eval: { first: salt } } },
  };
  const credential = await asked(navigator.credentials.create({ publicKey }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (credential.response);
  return {
    id: written(credential.rawId),
    attestationObject: written(response.attestationObject),
    clientDataJSON: written(response.clientDataJSON),
  };
}

/** @param {string} id */
const named = (id) => ({ type: /** @type {const} */ ("public-key"), id: unb64u(id) });

/** @typedef {{ id: string, salt: Bytes }} Held a passkey, and what its PRF is evaluated at */

/**
 * What the PRF is asked: of one passkey the short form, which more browsers know.
 * @param {Held[]} held
 */
const asksPrf = (held) =>
  held.length === 1
    ? { eval: { first: held[0].salt } }
    : {
        evalByCredential: Object.fromEntries(held.map(({ id, salt }) => [id, { first: salt }])),
      };

/**
 * Have the passkey's holder verified for a challenge; `output` is the PRF's, if there is one.
 *
 * An authenticator that answers the PRF in a form that no verifier accepts (extension data without
 * its flag: Firefox's software token) is asked again without it.
 * @param {{ rpId: string, id: string, challenge: Bytes, salt: Bytes | null, others?: Held[] }}
 *   wanted `others` may answer as well; the assertion's `id` says which did
 * @returns {Promise<{ assertion: Assertion, output: Bytes | null }>}
 */
export async function usePasskey({ rpId, id, challenge, salt, others = [] }) {
  const publicKey = {
    rpId,
    challenge,
    allowCredentials: [id, ...others.map((other) => other.id)].map(named),
    userVerification: /** @type {const} */ ("required"),
    timeout: TIMEOUT_MS,
    ...(salt && { extensions: { prf: asksPrf([{ id, salt }, ...others]) } }),
  };
  const credential = await asked(navigator.credentials.get({ publicKey }));
  const response = /** @type {AuthenticatorAssertionResponse} */ (credential.response);
  if (salt && isTorn(new Uint8Array(response.authenticatorData))) {
    return usePasskey({ rpId, id, challenge, salt: null, others });
  }
  const assertion = {
    id: written(credential.rawId),
    authenticatorData: written(response.authenticatorData),
    clientDataJSON: written(response.clientDataJSON),
    signature: written(response.signature),
  };
  return { assertion, output: salt && prfOutput(credential) };
}

/** @param {Bytes} data */
const isTorn = (data) => !(data[FLAGS_AT] & EXTENSIONS_FOLLOW) && data.length > BARE_LENGTH;

/** @param {PublicKeyCredential} credential @returns {Bytes | null} */
function prfOutput(credential) {
  const first = credential.getClientExtensionResults().prf?.results?.first;
  if (!first) return null;
  return new Uint8Array(
    ArrayBuffer.isView(first)
      ? first.buffer.slice(first.byteOffset, first.byteOffset + first.byteLength)
      : first,
  );
}

/** @param {Promise<Credential | null>} answer @returns {Promise<PublicKeyCredential>} */
async function asked(answer) {
  let credential;
  try {
    credential = await answer;
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    const dismissed = name === "NotAllowedError" || name === "AbortError";
    throw new CannotAnswer(dismissed ? "error.not-verified" : "error.passkey");
  }
  if (credential === null) throw new CannotAnswer("error.passkey");
  return /** @type {PublicKeyCredential} */ (credential);
}

/** Whether this browser has passkeys at all. */
export const hasPasskeys = () => "PublicKeyCredential" in globalThis && "credentials" in navigator;
