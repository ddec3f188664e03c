// Locks that keep the cell's secret, and the phone's own wrapping (sections 5 and 6). A lock opens
// only under its label: cell, kind, purpose and id are in its additional data, so a lock of another
// cell, or for another use, fails like a forged one.
// @ts-check

import { MessageRefused } from "../errors.js";
import { aesKey, concat, decrypt, encrypt, hkdf, sha256, utf8, uuidText } from "./bytes.js";
import { agreementKey, unseal } from "./jose.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const CELL_SECRET = 32;
const THUMBPRINT = 32;
const SECRET = 16;
const ZERO = "\0";

/**
 * @param {Bytes} cell @param {string} kind @param {string} purpose @param {Bytes} [id]
 * @returns {Bytes}
 */
export const label = (cell, kind, purpose, id = new Uint8Array()) =>
  concat(utf8("cell-lock-v1" + ZERO), cell, utf8(kind + ZERO + purpose + ZERO), id);

/**
 * The pairing's UUID, from the envelope's secret.
 * @param {Bytes} secret
 * @returns {Promise<string>}
 */
export const pairingId = async (secret) => uuidText(await pairingBytes(secret));

/** @param {Bytes} secret */
const pairingBytes = (secret) => hkdf(secret, "cell-pairing-id-v1", undefined, SECRET);

/**
 * The cell's secret, and the thumbprint of KS that the envelope pins.
 * @param {string} unverified @param {Bytes} secret @param {Bytes} cell
 * @returns {Promise<{ cellSecret: Bytes, pin: Bytes }>}
 */
export async function openEnvelope(unverified, secret, cell) {
  const key = await aesKey(await hkdf(secret, "cell-envelope-v1"));
  const associated = label(cell, "envelope", "recover", await pairingBytes(secret));
  const data = await decrypt(unverified, key, associated, CELL_SECRET + THUMBPRINT);
  return { cellSecret: data.slice(0, CELL_SECRET), pin: data.slice(CELL_SECRET) };
}

/**
 * The cell's secret from this phone's lock.
 * @param {string} unverified @param {{ cell: Bytes, kid: Bytes, unlock: CryptoKey }} by
 * @returns {Promise<Bytes>}
 */
export async function openDeviceLock(unverified, { cell, kid, unlock }) {
  const secret = await unseal(unverified, { key: unlock, apv: label(cell, "device", "sign", kid) });
  if (secret.length !== CELL_SECRET) throw new MessageRefused("a lock holds no cell's secret");
  return secret;
}

/** @param {Bytes} code @param {Bytes} cell */
const recoveryKey = async (code, cell) => aesKey(await hkdf(code, "cell-recovery-v1", cell));

/**
 * The lock that a recovery code of 16 bytes opens.
 * @param {Bytes} cellSecret @param {Bytes} code @param {Bytes} cell @returns {Promise<string>}
 */
export const makeRecoveryLock = async (cellSecret, code, cell) =>
  encrypt(cellSecret, await recoveryKey(code, cell), label(cell, "recovery", "recover"));

/**
 * The cell's secret by the recovery code.
 * @param {string} unverified @param {Bytes} code @param {Bytes} cell @returns {Promise<Bytes>}
 */
export const openRecoveryLock = async (unverified, code, cell) =>
  decrypt(
    unverified,
    await recoveryKey(code, cell),
    label(cell, "recovery", "recover"),
    CELL_SECRET,
  );

/**
 * Whether who knows the cell's secret vouches for this KS, to this phone.
 * @param {Bytes} cellSecret @param {Bytes} cell
 * @param {{ ks: Bytes, approval: Bytes, pin: Bytes }} said thumbprints, and the word for them
 */
export async function vouchedFor(cellSecret, cell, { ks, approval, pin }) {
  const key = await hkdf(cellSecret, "cell-pin-v1", cell);
  const how = { name: "HMAC", hash: "SHA-256" };
  const mac = await crypto.subtle.importKey("raw", key, how, false, ["verify"]);
  return crypto.subtle.verify("HMAC", mac, pin, concat(ks, approval));
}

/** What the passkey's PRF is evaluated at. @param {Bytes} cell @returns {Promise<Bytes>} */
export const prfSalt = (cell) => sha256(concat(utf8("cell-prf-v1" + ZERO), cell));

/** What a security key's PRF is evaluated at. @param {Bytes} cell @returns {Promise<Bytes>} */
export const securityKeySalt = (cell) => sha256(concat(utf8("cell-prf-key-v1" + ZERO), cell));

/** The key that wraps the unlock key. @param {Bytes} prfOutput @returns {Promise<CryptoKey>} */
export const wrappingKey = async (prfOutput) => aesKey(await hkdf(prfOutput, "cell-unlock-v1"));

/** The same, of a security key. @param {Bytes} prfOutput @returns {Promise<CryptoKey>} */
export const securityKeyWrapping = async (prfOutput) =>
  aesKey(await hkdf(prfOutput, "cell-unlock-key-v1"));

/**
 * The unlock key as the phone keeps it.
 * @param {Bytes} pkcs8 @param {CryptoKey} wrapping @param {Bytes} cell @returns {Promise<string>}
 */
export const wrapUnlock = (pkcs8, wrapping, cell) => encrypt(pkcs8, wrapping, cell);

/**
 * The unlock key again; extractable only where it is to be wrapped anew.
 * @param {string} wrapped @param {CryptoKey} wrapping @param {Bytes} cell @param {boolean}
 *   [extractable]
 * @returns {Promise<CryptoKey>}
 */
export async function unwrapUnlock(wrapped, wrapping, cell, extractable = false) {
  const pkcs8 = await decrypt(wrapped, wrapping, cell);
  try {
    return await agreementKey(pkcs8, extractable);
  } finally {
    pkcs8.fill(0);
  }
}
