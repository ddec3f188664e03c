// What the phone says (section 2). Every claim stands in every message; what is said to be optional
// is null where it is not there.
// @ts-check

import { b64u, concat, sha256, unb64u, utf8 } from "./bytes.js";
import { inGroups } from "./codes.js";
import { seal, sign, thumbprint } from "./jose.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./jose.js").Jwk} Jwk */
/** @typedef {import("./jose.js").Key} Key */
/** @typedef {{ approval: Jwk, request: Jwk, unlock: Jwk }} PhoneKeys */
/**
 * @typedef {{ id: string, authenticatorData: string, clientDataJSON: string, signature: string }}
 *   Assertion
 */
/** @typedef {{ id: string, attestationObject: string, clientDataJSON: string }} Registration */

/** @typedef {"pwa" | "desktop"} Kind what this browser says that it runs on */

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const NO_SEAL = new Uint8Array(32);

/** @returns {string} */
const newId = () => crypto.randomUUID();

/**
 * The cell's secret, sealed to the transaction key of an ask.
 * @param {Bytes} cellSecret
 * @param {{ sam: Jwk, ephemeral: Key, approval: Jwk, txHash: Bytes }} to
 * @returns {Promise<string>}
 */
export const sealSecret = async (cellSecret, { sam, ephemeral, approval, txHash }) =>
  seal(cellSecret, { recipient: sam, ephemeral, apu: await thumbprint(approval), apv: txHash });

/**
 * What a passkey signs for an approval.
 * @param {Bytes} txHash
 * @param {Jwk} epk
 * @returns {Promise<Bytes>}
 */
export const approvalChallenge = async (txHash, epk) =>
  sha256(concat(utf8("cell-approve-v1\0"), txHash, await thumbprint(epk)));

/**
 * What a passkey signs at registration, twice.
 * @param {Bytes} txHash @param {PhoneKeys} keys @param {Jwk | null} epk null where nothing is
 *   sealed
 * @returns {Promise<Bytes>}
 */
export async function enrolmentChallenge(txHash, keys, epk) {
  const ephemeral = epk === null ? NO_SEAL : await thumbprint(epk);
  return sha256(concat(utf8("cell-enrol-v1\0"), txHash, await allThumbprints(keys), ephemeral));
}

/**
 * What a new security key signs, twice.
 * @param {Bytes} record hash of the cell's newest record @param {Bytes} kid
 * @returns {Promise<Bytes>}
 */
export const securityKeyChallenge = (record, kid) =>
  sha256(concat(utf8("cell-security-key-v1\0"), record, kid));

/**
 * What a passkey that the record knows signs, so that the new one is let in.
 * @param {Bytes} record @param {Bytes} kid @param {Registration} registration
 * @returns {Promise<Bytes>}
 */
export async function consentChallenge(record, kid, { attestationObject }) {
  const registered = await sha256(unb64u(attestationObject));
  return sha256(concat(utf8("cell-security-key-consent-v1\0"), record, kid, registered));
}

/**
 * A `cell-security-key+jwt` by the approval key.
 * @param {Key} key
 * @param {{ record: Bytes, registration: Registration, assertion: Assertion, consent: Assertion }}
 *   said
 * @returns {Promise<string>}
 */
export const makeSecurityKey = (key, { record, registration, assertion, consent }) =>
  sign(
    { record: b64u(record), webauthn: { registration, assertion }, consent },
    "cell-security-key+jwt",
    key,
  );

/** The three, in the order of every message. @param {PhoneKeys} keys @returns {Promise<Bytes>} */
export async function allThumbprints({ approval, request, unlock }) {
  return concat(await thumbprint(approval), await thumbprint(request), await thumbprint(unlock));
}

/** The characters that name this phone. @param {string} enrolment @returns {Promise<string>} */
export async function twelveCharacters(enrolment) {
  const digest = await sha256(utf8("cell-pair-v1\0" + enrolment));
  let bits = "";
  for (const byte of digest.subarray(0, 8)) bits += byte.toString(2).padStart(8, "0");
  const characters = (bits.slice(0, 60).match(/.{5}/g) ?? []).map(
    (five) => BASE32[parseInt(five, 2)],
  );
  return inGroups(characters.join(""), 4);
}

/**
 * A `cell-enrolment+jwt` by the new approval key.
 * @param {Key} key
 * @param {{ txHash: Bytes, keys: PhoneKeys, kind: Kind, sealed: string | null, epk: Jwk | null,
 *   webauthn: { registration: Registration, assertion: Assertion } }} said
 * @returns {Promise<string>}
 */
export async function makeEnrolment(key, { txHash, keys, kind, sealed, epk, webauthn }) {
  const claims = {
    tx_hash: b64u(txHash),
    keys,
    kind,
    sealed: sealed === null ? null : b64u(await sha256(utf8(sealed))),
    epk: epk === null ? null : b64u(await thumbprint(epk)),
    webauthn,
    attestation: null,
  };
  return sign(claims, "cell-enrolment+jwt", key);
}

/**
 * A `cell-approval+jwt` by the approval key.
 * @param {Key} key
 * @param {{ tx: string, txHash: Bytes, sealed: string, epk: Jwk, number: string | null,
 *   webauthn: Assertion, now: number }} said
 * @returns {Promise<string>}
 */
export async function makeApproval(key, { tx, txHash, sealed, epk, number, webauthn, now }) {
  const claims = {
    tx,
    tx_hash: b64u(txHash),
    decision: "approve",
    sealed: b64u(await sha256(utf8(sealed))),
    epk: b64u(await thumbprint(epk)),
    number,
    iat: now,
    jti: newId(),
    webauthn,
  };
  return sign(claims, "cell-approval+jwt", key);
}

/**
 * A `cell-refusal+jwt` by the request key.
 * @param {Key} key
 * @param {{ tx: string, txHash: Bytes, decision: "reject" | "not_me", now: number }} said
 * @returns {Promise<string>}
 */
export const makeRefusal = (key, { tx, txHash, decision, now }) =>
  sign({ tx, tx_hash: b64u(txHash), decision, iat: now, jti: newId() }, "cell-refusal+jwt", key);

/**
 * A `dpop+jwt` for one request; the query is no part of `htu`.
 * @param {Key} key
 * @param {{ method: string, url: string, body: string | null, now: number }} said
 * @returns {Promise<string>}
 */
export async function requestProof(key, { method, url, body, now }) {
  const claims = {
    htm: method,
    htu: url.split("?")[0],
    iat: now,
    jti: newId(),
    body: body ? b64u(await sha256(utf8(body))) : null,
  };
  return sign(claims, "dpop+jwt", key);
}

/** A further phone's QR code. @param {PhoneKeys} keys @returns {Promise<string>} */
export const furtherPhoneText = async (keys) =>
  `cellkey:further?k=${b64u(await allThumbprints(keys))}`;

/** The thumbprints in it, as one value. @param {string} scanned @returns {Bytes | null} */
export function readFurtherPhone(scanned) {
  const found = /^cellkey:further\?k=([A-Za-z0-9_-]{128})$/.exec(scanned.trim());
  return found && unb64u(found[1], 96);
}
