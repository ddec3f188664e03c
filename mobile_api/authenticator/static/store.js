// What the phone remembers, in IndexedDB by `idb-keyval`: keys that cannot be exported,
// ciphertexts, and what was answered. What is sent once is stored before it is sent. Never here:
// the cell's secret, the passkey's PRF output, a password, a recovery code in clear.
// @ts-check

import { del, get, set, update } from "./vendor/idb-keyval.js";

/** @typedef {import("./protocol/jose.js").Jwk} Jwk */
/** @typedef {import("./protocol/jose.js").Key} Key */
/**
 * @typedef {object} Keys the phone's three keys and its passkey
 * @property {Key} approval
 * @property {Key} request
 * @property {Jwk} unlock public half
 * @property {string | null} wrapped the unlock key under the passkey's PRF output
 * @property {CryptoKey | null} software the unlock key itself, not extractable, where there is no
 *   PRF
 * @property {CryptoKey | null} keep where there is no PRF: keeps the recovery code until it is
 *   shown
 * @property {string} passkey id of the credential, base64url
 * @property {SecurityKey[]} [securityKeys] further passkeys for the same unlock key
 */
/**
 * @typedef {object} SecurityKey a further passkey, on a token of its own
 * @property {string} id of the credential, base64url
 * @property {string} wrapped the unlock key under its PRF output
 * @property {number} addedAt seconds
 * @property {boolean} counts whether the service is known to have it in the cell's record
 */
/**
 * @typedef {object} Recovery
 * @property {string} lock what the service keeps
 * @property {string | null} code the code as ciphertext; null once its owner has proved to have it
 * @property {boolean} uploaded
 * @property {string} [by] id of the passkey that keeps the code, where it is not the first
 */
/**
 * @typedef {{ txHash: string, enrolment: string, sealed: string | null, recovery: Recovery | null
 *   }} Enrolment
 */
/**
 * @typedef {object} Pairing one that has begun; its keys stay the same until it is over
 * @property {string} pairing
 * @property {string} cell
 * @property {string} name
 * @property {Jwk} ks
 * @property {string} ticket
 * @property {string} userId
 * @property {Keys} keys
 * @property {Enrolment} enrolment
 * @property {string[]} confirmation
 */
/**
 * @typedef {object} Further this phone while another one, paired already, lets it in
 * @property {string} cell
 * @property {string} name
 * @property {Jwk} ks not trusted before the cell's secret vouches for it
 * @property {Keys} keys
 * @property {string} enrolment
 */
/**
 * @typedef {object} Cell a paired phone: what it knows of one cell
 * @property {string} id
 * @property {string} name as the authority registered it
 * @property {Jwk} ks the pin that asks are verified under
 * @property {Keys} keys
 * @property {Recovery | null} recovery
 * @property {number} pairedAt seconds
 * @property {boolean} [hasSecond] whether this phone let another one in
 * @property {string} [wokenAt] endpoint of the push subscription that the service was told of last
 */
/**
 * @typedef {object} Answer the bytes that answer one transaction; repeated until an answer comes
 * @property {string} cell
 * @property {string} tx
 * @property {string} txHash
 * @property {string} approval
 * @property {string} sealed
 * @property {number} exp
 */
/**
 * @typedef {object} Entry what was asked and what was answered: the signer's own receipt
 * @property {string} cell
 * @property {string} tx
 * @property {"approved" | "failed" | "rejected" | "not_me" | "stranger" | "refused"} decision
 * @property {number} at seconds
 * @property {string} title
 * @property {string} by
 * @property {string} ask
 * @property {string[]} list
 * @property {string | null} answer the signed approval or refusal
 * @property {string} [reason]
 */

const ENTRIES_KEPT = 500;

/** @returns {Promise<Cell[]>} */
export const cells = async () => (await get("cells")) ?? [];

/** Put a cell in, or in the place of the same. @param {Cell} cell */
export const keepCell = (cell) =>
  update("cells", (/** @type {Cell[]} */ old = []) => [
    ...old.filter((other) => other.id !== cell.id),
    cell,
  ]);

/** Change one cell, if it is still there. @param {string} id @param {Partial<Cell>} changed */
export const changeCell = (id, changed) =>
  update("cells", (/** @type {Cell[]} */ old = []) =>
    old.map((cell) => (cell.id === id ? { ...cell, ...changed } : cell)),
  );

/** Forget a cell, its keys and what waits to be sent; the history stays. @param {string} id */
export async function forgetCell(id) {
  await update("cells", (/** @type {Cell[]} */ old = []) => old.filter((cell) => cell.id !== id));
  await update("answers", (/** @type {Answer[]} */ old = []) =>
    old.filter((made) => made.cell !== id),
  );
}

/** @returns {Promise<Pairing | undefined>} */
export const pairing = () => get("pairing");
/** @param {Pairing} begun */
export const keepPairing = (begun) => set("pairing", begun);
export const forgetPairing = () => del("pairing");

/** @returns {Promise<Further | undefined>} */
export const further = () => get("further");
/** @param {Further} begun */
export const keepFurther = (begun) => set("further", begun);
export const forgetFurther = () => del("further");

/** @returns {Promise<Answer[]>} */
export const answers = async () => (await get("answers")) ?? [];
/** @param {Answer} answer */
export const keepAnswer = (answer) =>
  update("answers", (/** @type {Answer[]} */ old = []) => [
    ...old.filter((made) => made.txHash !== answer.txHash),
    answer,
  ]);
/** @param {string} txHash */
export const forgetAnswer = (txHash) =>
  update("answers", (/** @type {Answer[]} */ old = []) =>
    old.filter((made) => made.txHash !== txHash),
  );

/** Newest first. @returns {Promise<Entry[]>} */
export const history = async () => (await get("history")) ?? [];
/** @param {Entry} entry */
export const keepEntry = (entry) =>
  update("history", (/** @type {Entry[]} */ old = []) =>
    [entry, ...old.filter((other) => other.tx !== entry.tx || other.cell !== entry.cell)].slice(
      0,
      ENTRIES_KEPT,
    ),
  );

/** @param {string} cell @param {string} tx @param {Partial<Entry>} changed */
export const changeEntry = (cell, tx, changed) =>
  update("history", (/** @type {Entry[]} */ old = []) =>
    old.map((entry) => (entry.tx === tx && entry.cell === cell ? { ...entry, ...changed } : entry)),
  );

/** @returns {Promise<Record<string, string>>} */
export const choices = async () => (await get("choices")) ?? {};
/** @param {Record<string, string>} chosen */
export const choose = (chosen) =>
  update("choices", (/** @type {Record<string, string>} */ old = {}) => ({ ...old, ...chosen }));
