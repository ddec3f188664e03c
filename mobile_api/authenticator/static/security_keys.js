// A security key as a further way to this phone's unlock key (docs/phone-protocol.md, 8.6): a token
// of its own, with a PIN. It opens nothing before the service has it in the cell's record, and what
// the service does not name is forgotten here.
// @ts-check

import { PhoneCalls } from "./api.js";
import { CannotAnswer } from "./errors.js";
import { now } from "./http.js";
import { createPasskey, usePasskey } from "./passkey.js";
import * as answers from "./protocol/answers.js";
import { random, rawUuid, unb64u } from "./protocol/bytes.js";
import { thumbprint } from "./protocol/jose.js";
import { securityKeySalt } from "./protocol/locks.js";
import * as store from "./store.js";
import { unlockKey, wrapForSecurityKey } from "./unlocking.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./protocol/bytes.js").Bytes} Bytes */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {import("./store.js").SecurityKey} SecurityKey */
/**
 * @typedef {object} NewKey a security key that waits for this phone's passkey to agree; in the page
 *   alone
 * @property {Bytes} record
 * @property {answers.Registration} registration
 * @property {answers.Assertion} assertion
 * @property {Bytes} output of its PRF
 */

/** @param {Profile} profile @param {Cell} cell */
const callsOf = (profile, cell) => new PhoneCalls(profile, cell.keys.request);

/**
 * The keys that count; what is kept here follows what the service says.
 * @param {Profile} profile @param {Cell} cell
 * @returns {Promise<{ id: string, addedAt: number | null }[]>}
 */
export async function securityKeys(profile, cell) {
  const { security_keys: counted } = await callsOf(profile, cell).securityKeys();
  const ids = counted.map(({ id }) => id);
  const kept = (await heldBy(cell.id)).filter(({ id }) => ids.includes(id));
  await keep(
    cell.id,
    kept.map((key) => ({ ...key, counts: true })),
  );
  return ids.map((id) => ({ id, addedAt: kept.find((key) => key.id === id)?.addedAt ?? null }));
}

/** @param {string} cell @returns {Promise<SecurityKey[]>} */
const heldBy = async (cell) =>
  (await store.cells()).find(({ id }) => id === cell)?.keys.securityKeys ?? [];

/** @param {string} id @param {SecurityKey[]} held */
async function keep(id, held) {
  const cell = (await store.cells()).find((known) => known.id === id);
  if (cell) await store.changeCell(id, { keys: { ...cell.keys, securityKeys: held } });
}

/**
 * Make a passkey on the security key, and have it open its PRF: touched twice.
 * @param {Profile} profile @param {Cell} cell @returns {Promise<NewKey>}
 */
export async function makeSecurityKey(profile, cell) {
  const { record, security_keys: known } = await callsOf(profile, cell).securityKeys();
  const followed = unb64u(record, 32);
  const kid = await thumbprint(cell.keys.approval.jwk);
  const challenge = await answers.securityKeyChallenge(followed, kid);
  const salt = await securityKeySalt(rawUuid(cell.id));
  const registration = await createPasskey({
    rpId: profile.rp_id,
    ca: profile.ca,
    name: cell.name || profile.ca,
    userId: random(16),
    challenge,
    salt,
    beside: [cell.keys.passkey, ...known.map(({ id }) => id)],
  });
  const asked = { rpId: profile.rp_id, id: registration.id, challenge, salt };
  const { assertion, output } = await usePasskey(asked);
  if (output === null) throw new CannotAnswer("error.no-prf-key");
  return { record: followed, registration, assertion, output };
}

/**
 * Have a passkey that counts agree; then the service is told.
 * @param {Profile} profile @param {Cell} cell @param {NewKey} made
 */
export async function addSecurityKey(profile, cell, { record, registration, assertion, output }) {
  const { approval } = cell.keys;
  const challenge = await answers.consentChallenge(
    record,
    await thumbprint(approval.jwk),
    registration,
  );
  const wanted = { rpId: profile.rp_id, cell: cell.id, challenge, extractable: true };
  const { assertion: consent, unlock } = await unlockKey(cell.keys, wanted);
  const wrapped = await wrapForSecurityKey(unlock, output, cell.id);
  const made = { id: registration.id, wrapped, addedAt: now(), counts: false };
  await keep(cell.id, [...(await heldBy(cell.id)), made]);
  const message = await answers.makeSecurityKey(approval, {
    record,
    registration,
    assertion,
    consent,
  });
  await callsOf(profile, cell).addSecurityKey(message);
  output.fill(0);
  await securityKeys(profile, cell);
}

/**
 * From this phone first: then it opens nothing here, whatever becomes of the call.
 * @param {Profile} profile @param {Cell} cell @param {string} id
 */
export async function removeSecurityKey(profile, cell, id) {
  await keep(
    cell.id,
    (await heldBy(cell.id)).filter((key) => key.id !== id),
  );
  await callsOf(profile, cell).removeSecurityKey(id);
}
