// How this phone keeps its unlock key: under the passkey's PRF output, or, where there is none and
// the authority allows it, in the browser alone. Each opening is one verification of the user.
// @ts-check

import { CannotAnswer } from "./errors.js";
import { usePasskey } from "./passkey.js";
import { aesKey, decrypt, encrypt, hkdf, rawUuid, text, utf8 } from "./protocol/bytes.js";
import {
  openDeviceLock,
  prfSalt,
  unwrapUnlock,
  wrapUnlock,
  wrappingKey,
} from "./protocol/locks.js";
import { thumbprint } from "./protocol/jose.js";

/** @typedef {import("./protocol/bytes.js").Bytes} Bytes */
/** @typedef {import("./protocol/answers.js").Assertion} Assertion */
/** @typedef {import("./store.js").Keys} Keys */

/**
 * Keeps the recovery code until it is shown; a matter of this app alone.
 * @param {Bytes} prfOutput
 */
const keepingKey = async (prfOutput) => aesKey(await hkdf(prfOutput, "cell-app-recovery-v1"));

/**
 * A new unlock key as it will be kept.
 * @param {CryptoKey} privateKey extractable, and dropped here; or kept already without a PRF
 * @param {Bytes} cell
 * @param {Bytes | null} prfOutput
 * @returns {Promise<{ wrapped: string | null, software: CryptoKey | null, keep: CryptoKey | null,
 *   code: CryptoKey }>}
 *   `code` keeps the recovery code
 */
export async function keepUnlock(privateKey, cell, prfOutput) {
  if (!privateKey.extractable) {
    if (prfOutput) throw new CannotAnswer("error.passkey");
    const keep = await newKeep();
    return { wrapped: null, software: privateKey, keep, code: keep };
  }
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  try {
    if (prfOutput) {
      const wrapped = await wrapUnlock(pkcs8, await wrappingKey(prfOutput), cell);
      return { wrapped, software: null, keep: null, code: await keepingKey(prfOutput) };
    }
    const how = { name: "ECDH", namedCurve: "P-256" };
    const software = await crypto.subtle.importKey("pkcs8", pkcs8, how, false, ["deriveBits"]);
    const keep = await newKeep();
    return { wrapped: null, software, keep, code: keep };
  } finally {
    pkcs8.fill(0);
  }
}

const newKeep = async () =>
  /** @type {CryptoKey} */ (
    await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
  );

/**
 * Have the user verified for a challenge, and open the unlock key.
 * @param {Keys} keys
 * @param {{ rpId: string, cell: string, challenge: Bytes, extractable?: boolean }} wanted
 *   `extractable` where it is to be wrapped anew
 * @returns {Promise<{ assertion: Assertion, unlock: CryptoKey, code: CryptoKey }>}
 */
export async function unlockKey(keys, { rpId, cell, challenge, extractable = false }) {
  const raw = rawUuid(cell);
  const salt = keys.wrapped === null ? null : await prfSalt(raw);
  const { assertion, output } = await usePasskey({ rpId, id: keys.passkey, challenge, salt });
  if (keys.wrapped === null) {
    if (keys.software === null || keys.keep === null) throw new CannotAnswer("error.passkey");
    return { assertion, unlock: keys.software, code: keys.keep };
  }
  if (output === null) throw new CannotAnswer("error.no-prf-now");
  try {
    const unlock = await unwrapUnlock(keys.wrapped, await wrappingKey(output), raw, extractable);
    return { assertion, unlock, code: await keepingKey(output) };
  } finally {
    output.fill(0);
  }
}

/**
 * The cell's secret by this phone's lock.
 * @param {Keys} keys @param {string} lock @param {string} cell @param {CryptoKey} unlock
 * @returns {Promise<Bytes>}
 */
export const openLock = async (keys, lock, cell, unlock) =>
  openDeviceLock(lock, { cell: rawUuid(cell), kid: await thumbprint(keys.approval.jwk), unlock });

/**
 * A recovery code as it is kept.
 * @param {string} code
 * @param {CryptoKey} key
 * @param {Bytes} cell
 */
export const keepCode = (code, key, cell) => encrypt(utf8(code), key, cell);

/** @param {string} kept @param {CryptoKey} key @param {Bytes} cell @returns {Promise<string>} */
export const readCode = async (kept, key, cell) => text(await decrypt(kept, key, cell));
