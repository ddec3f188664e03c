// The recovery code: its lock is made where the cell's secret is known, kept as ciphertext, and
// handed in with the first request proof; only then is the code shown (docs/phone-protocol.md, 6).
// @ts-check

import { PhoneCalls } from "./api.js";
import { random, rawUuid } from "./protocol/bytes.js";
import { secretText } from "./protocol/codes.js";
import * as locks from "./protocol/locks.js";
import * as store from "./store.js";
import { keepCode, openLock, unlockKey } from "./unlocking.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./protocol/bytes.js").Bytes} Bytes */
/** @typedef {import("./store.js").Recovery} Recovery */

/**
 * @param {Bytes} cellSecret
 * @param {Bytes} cell
 * @param {CryptoKey} keeping
 * @returns {Promise<Recovery>}
 */
export async function newRecovery(cellSecret, cell, keeping) {
  const secret = random(16);
  const lock = await locks.makeRecoveryLock(cellSecret, secret, cell);
  const code = await keepCode(secretText(secret), keeping, cell);
  secret.fill(0);
  return { lock, code, uploaded: false };
}

/**
 * A new recovery code in place of the old one; gives the key that keeps it until it is shown.
 * @param {Profile} profile @param {import("./store.js").Cell} cell @returns {Promise<CryptoKey>}
 */
export async function makeNewRecovery(profile, cell) {
  const lock = await new PhoneCalls(profile, cell.keys.request).lock();
  const wanted = { rpId: profile.rp_id, cell: cell.id, challenge: random(32) };
  const { assertion, unlock, code } = await unlockKey(cell.keys, wanted);
  const cellSecret = await openLock(cell.keys, lock, cell.id, unlock);
  const recovery = {
    ...(await newRecovery(cellSecret, rawUuid(cell.id), code)),
    by: assertion.id,
  };
  cellSecret.fill(0);
  await store.changeCell(cell.id, { recovery });
  await uploadRecoveryLock(profile, cell.id);
  return code;
}

/**
 * With the first request proof; repeated at each start until it has arrived.
 * @param {Profile} profile
 * @param {string} id
 */
export async function uploadRecoveryLock(profile, id) {
  const cell = (await store.cells()).find((known) => known.id === id);
  if (!cell?.recovery || cell.recovery.uploaded) return;
  await new PhoneCalls(profile, cell.keys.request).keepRecoveryLock(cell.recovery.lock);
  await store.changeCell(id, { recovery: { ...cell.recovery, uploaded: true } });
}
