// How this phone keeps its unlock key: under the passkey's PRF output, or, where there is none and
// the authority allows it, in the browser alone. Each opening is one verification of the user.
// @ts-check

import { CannotAnswer } from "./errors.js";
import { usePasskey } from "./passkey.js";
import { aesKey, decrypt, encrypt, hkdf, rawUuid, text, utf8 } from "./protocol/bytes.js";
import {
  openDeviceLock,
  prfSalt,
  securityKeySalt,
  securityKeyWrapping,
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
 * @typedef {object} Way to the unlock key: a passkey, and what lies under its PRF output
 * @property {string} id
 * @property {Bytes} salt
 * @property {string} wrapped
 * @property {(output: Bytes) => Promise<CryptoKey>} wrapping
 */

/**
 * Every one that counts; the phone's own passkey is the first.
 * @param {Keys} keys @param {string} wrapped @param {Bytes} cell @returns {Promise<Way[]>}
 */
async function waysTo({ passkey, securityKeys = [] }, wrapped, cell) {
  const salt = await securityKeySalt(cell);
  return [
    { id: passkey, salt: await prfSalt(cell), wrapped, wrapping: wrappingKey },
    ...securityKeys
      .filter((key) => key.counts)
      .map((key) => ({ id: key.id, salt, wrapped: key.wrapped, wrapping: securityKeyWrapping })),
  ];
}

/**
 * Have the user verified for a challenge, and open the unlock key.
 * @param {Keys} keys
 * @param {{ rpId: string, cell: string, challenge: Bytes, extractable?: boolean, by?: string }}
 *   wanted `extractable` where it is to be wrapped anew; `by` one passkey and no other
 * @returns {Promise<{ assertion: Assertion, unlock: CryptoKey, code: CryptoKey }>}
 */
export async function unlockKey(keys, { rpId, cell, challenge, extractable = false, by }) {
  const raw = rawUuid(cell);
  if (keys.wrapped === null) {
    const { assertion } = await usePasskey({ rpId, id: keys.passkey, challenge, salt: null });
    if (keys.software === null || keys.keep === null) throw new CannotAnswer("error.passkey");
    return { assertion, unlock: keys.software, code: keys.keep };
  }
  const ways = (await waysTo(keys, keys.wrapped, raw)).filter((way) => !by || way.id === by);
  if (ways.length === 0) throw new CannotAnswer("error.passkey");
  const [{ id, salt }, ...others] = ways;
  const { assertion, output } = await usePasskey({ rpId, id, challenge, salt, others });
  const used = ways.find((way) => way.id === assertion.id);
  if (!used) throw new CannotAnswer("error.passkey");
  if (output === null) throw new CannotAnswer("error.no-prf-now");
  try {
    const unlock = await unwrapUnlock(used.wrapped, await used.wrapping(output), raw, extractable);
    return { assertion, unlock, code: await keepingKey(output) };
  } finally {
    output.fill(0);
  }
}

/**
 * The unlock key once more, under a security key's PRF output.
 * @param {CryptoKey} unlock extractable, and dropped afterwards
 * @param {Bytes} prfOutput @param {string} cell @returns {Promise<string>}
 */
export async function wrapForSecurityKey(unlock, prfOutput, cell) {
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", unlock));
  try {
    return await wrapUnlock(pkcs8, await securityKeyWrapping(prfOutput), rawUuid(cell));
  } finally {
    pkcs8.fill(0);
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
