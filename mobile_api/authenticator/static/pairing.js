// The dialogue of pairing (section 8.2), each step of which may be lost and repeated. The enrolment
// is stored before it is sent, and the same bytes answer the same ask; a new ask of the same
// envelope gets a new enrolment of the same keys. The phone counts as paired once the service says
// so.
// @ts-check

import { PairingCalls, PhoneCalls } from "./api.js";
import { now } from "./http.js";
import { CannotAnswer, MessageRefused, ServerRefused } from "./errors.js";
import { createPasskey, usePasskey } from "./passkey.js";
import { ownKind } from "./platform.js";
import * as answers from "./protocol/answers.js";
import { checkDocuments, readAsk, trust } from "./protocol/asks.js";
import { b64u, random, unb64u } from "./protocol/bytes.js";
import { newAgreementKey, newSigningKey } from "./protocol/jose.js";
import * as locks from "./protocol/locks.js";
import { newRecovery, uploadRecoveryLock } from "./recovering.js";
import * as store from "./store.js";
import { keepUnlock, unlockKey } from "./unlocking.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./api.js").PairingAnswer} PairingAnswer */
/** @typedef {import("./protocol/asks.js").CheckedAsk} CheckedAsk */
/** @typedef {import("./protocol/bytes.js").Bytes} Bytes */
/** @typedef {import("./protocol/invitation.js").Envelope} Envelope */
/** @typedef {import("./protocol/jose.js").Key} Key */
/** @typedef {import("./store.js").Keys} Keys */
/** @typedef {import("./store.js").Pairing} Pairing */
/** @typedef {import("./store.js").Recovery} Recovery */
/**
 * @typedef {{ envelope: Envelope, login: string, password: string, newPassword: string,
 *   recoveryCode?: Bytes }} Applicant
 */
/**
 * @typedef {object} Opened a checked enrol ask, and how the cell's secret is brought
 * @property {string} pairing
 * @property {string} ticket
 * @property {CheckedAsk} checked
 * @property {Bytes | null} cellSecret null where the password brings it, at the authorisation
 *   server
 * @property {string[]} confirmation
 * @property {Pairing | null} earlier
 */

/**
 * Steps 1 and 2, without the passkey: password, ask, lock. Gives what the passkey is needed for, or
 * `null` where everything was done before and nothing but the confirmation is left.
 * @param {Profile} profile @param {Applicant} applicant @returns {Promise<Opened | null>}
 */
export async function beginPairing(
  profile,
  { envelope, login, password, newPassword, recoveryCode },
) {
  const pairing = await locks.pairingId(envelope.secret);
  const begun = await store.pairing();
  const earlier = begun?.pairing === pairing ? begun : null;
  const calls = new PairingCalls(profile);
  let ticket;
  try {
    const body = { login, password, pairing };
    ticket = await calls.ticket(newPassword ? { ...body, new_password: newPassword } : body);
  } catch (error) {
    if (earlier && (await isConfirmedAlready(profile, earlier, error))) return null;
    throw error;
  }
  const answer = await calls.pairing(ticket);
  const opened = { pairing, ticket, earlier, ...(await open(answer, envelope, recoveryCode)) };
  if (earlier && earlier.enrolment.txHash === b64u(opened.checked.txHash)) {
    const kept = { ...earlier, ticket, confirmation: answer.confirmation };
    await store.keepPairing(kept);
    await handIn(profile, kept);
    return null;
  }
  return opened;
}

/**
 * The checks of section 6, in its order.
 * @param {PairingAnswer} answer @param {Envelope} envelope @param {Bytes | undefined} recoveryCode
 */
async function open(answer, envelope, recoveryCode) {
  if (answer.ask === null || answer.ks === null) {
    throw new MessageRefused(
      `the pairing is ${answer.state} and has no ask`,
      "error.pairing-frozen",
    );
  }
  const signed = await readAsk(answer.ask, answer.ks);
  if (signed.ask.kind !== "enrol" || signed.ask.key_thumbprints !== null) {
    throw new MessageRefused("this is not the ask of a pairing by envelope");
  }
  const { cellSecret, pin } = await secretAndPin(answer, signed.cell, envelope, recoveryCode);
  const trusted = await trust(signed, { pin, pinned: null, keys: answer.keys });
  const checked = await checkDocuments(trusted, []);
  if (now() > signed.ask.use_by) throw new CannotAnswer("error.pairing-late");
  return { checked, cellSecret, confirmation: answer.confirmation };
}

/**
 * @param {PairingAnswer} answer @param {Bytes} cell @param {Envelope} envelope
 * @param {Bytes | undefined} recoveryCode
 * @returns {Promise<{ cellSecret: Bytes | null, pin: Bytes }>}
 */
async function secretAndPin(answer, cell, envelope, recoveryCode) {
  if (answer.envelope_lock) return locks.openEnvelope(answer.envelope_lock, envelope.secret, cell);
  if (envelope.pin === null) throw new CannotAnswer("error.scan-do-not-type");
  const { pin } = envelope;
  if (recoveryCode !== undefined) {
    if (!answer.recovery_lock) throw new CannotAnswer("error.no-recovery-lock");
    return {
      cellSecret: await locks.openRecoveryLock(answer.recovery_lock, recoveryCode, cell),
      pin,
    };
  }
  if (answer.password_recovery) return { cellSecret: null, pin };
  throw new CannotAnswer("error.recovery-needed");
}

/**
 * Step 2: keys, passkey, enrolment. Asks for the finger twice: for a new passkey, and for its PRF.
 * @param {Profile} profile @param {Opened} opened @param {{ login: string }} who
 */
export async function enrol(profile, opened, { login }) {
  const { checked, cellSecret, earlier } = opened;
  const made = await newKeys(profile, earlier);
  const publicKeys = {
    approval: made.approval.jwk,
    request: made.request.jwk,
    unlock: made.unlock,
  };
  const ephemeral = cellSecret && (await newAgreementKey(false));
  const epk = ephemeral && ephemeral.jwk;
  const challenge = await answers.enrolmentChallenge(checked.txHash, publicKeys, epk);
  const salt = await locks.prfSalt(checked.cell);
  const userId = earlier ? unb64u(earlier.userId) : random(16);
  const name = `${String(checked.ask.fields.name ?? login)} (${login})`;
  const registration = await createPasskey({
    rpId: profile.rp_id,
    ca: profile.ca,
    name,
    userId,
    challenge,
    salt,
  });
  const used = await usePasskey({ rpId: profile.rp_id, id: registration.id, challenge, salt });
  if (used.output === null && !profile.software_unlock) throw new CannotAnswer("error.no-prf");
  const { code, ...kept } = await keepUnlock(made.unlockPrivate, checked.cell, used.output);
  used.output?.fill(0);
  const sealed =
    cellSecret &&
    ephemeral &&
    (await answers.sealSecret(cellSecret, {
      sam: checked.ask.sam,
      ephemeral,
      approval: made.approval.jwk,
      txHash: checked.txHash,
    }));
  const enrolment = await answers.makeEnrolment(made.approval, {
    txHash: checked.txHash,
    keys: publicKeys,
    kind: ownKind(),
    sealed,
    epk,
    webauthn: { registration, assertion: used.assertion },
  });
  const recovery = cellSecret && (await newRecovery(cellSecret, checked.cell, code));
  cellSecret?.fill(0);
  const pairing = {
    pairing: opened.pairing,
    cell: checked.ask.cell,
    name: cellName(checked),
    ks: checked.ks,
    ticket: opened.ticket,
    userId: b64u(userId),
    keys: {
      approval: made.approval,
      request: made.request,
      unlock: made.unlock,
      passkey: registration.id,
      ...kept,
    },
    enrolment: { txHash: b64u(checked.txHash), enrolment, sealed, recovery },
    confirmation: opened.confirmation,
  };
  await store.keepPairing(pairing);
  await handIn(profile, pairing);
}

/**
 * New keys, or those of an earlier enrolment: other keys would freeze the pairing.
 * @param {Profile} profile @param {Pairing | null} earlier
 * @returns {Promise<{ approval: Key, request: Key, unlock: import("./protocol/jose.js").Jwk,
 *   unlockPrivate: CryptoKey }>}
 */
async function newKeys(profile, earlier) {
  if (earlier === null) {
    const unlock = await newAgreementKey(true);
    return {
      approval: await newSigningKey(),
      request: await newSigningKey(),
      unlock: unlock.jwk,
      unlockPrivate: unlock.privateKey,
    };
  }
  const { keys, cell } = earlier;
  const wanted = { rpId: profile.rp_id, cell, challenge: random(32), extractable: true };
  const { unlock: unlockPrivate } = await unlockKey(keys, wanted);
  return { approval: keys.approval, request: keys.request, unlock: keys.unlock, unlockPrivate };
}

/**
 * Whose signature, and what the signer calls the cell where there are several.
 * @param {{ ask: import("./protocol/asks.js").Ask }} signed
 */
export function cellName({ ask }) {
  const { name, cell } = ask.fields;
  return [name, cell].filter((part) => typeof part === "string").join(" · ");
}

/** @param {Profile} profile @param {Pairing} pairing */
async function handIn(profile, { ticket, enrolment }) {
  const { twelve } = await new PairingCalls(profile).enrol(ticket, enrolment);
  const own = await answers.twelveCharacters(enrolment.enrolment);
  if (twelve.replaceAll("-", "") !== own.replaceAll("-", "")) {
    throw new MessageRefused("the service calls this phone by other characters than its own");
  }
}

/** The stored bytes once more, after a network that failed. @param {Profile} profile */
export async function handInAgain(profile) {
  const pairing = await store.pairing();
  if (pairing) await handIn(profile, pairing);
}

/**
 * The pairing is over for tickets; it may be so because this phone is confirmed. A request proof
 *   tells:
 * it counts from the confirmation on, and the first one is the recovery lock's.
 * @param {Profile} profile @param {Pairing} earlier @param {unknown} error
 */
async function isConfirmedAlready(profile, earlier, error) {
  if (!(error instanceof ServerRefused) || error.problem !== "pairing-over") return false;
  try {
    await new PhoneCalls(profile, earlier.keys.request).devices();
  } catch {
    return false;
  }
  await takeOver(profile, earlier);
  return true;
}

/** Step 3: have the code sent. @param {Profile} profile @param {Pairing} pairing */
export const sendCode = (profile, { ticket }) => new PairingCalls(profile).sendCode(ticket);

/**
 * Step 3: hand in the code (and the password, where it brings the secret), or look whether an
 *   operator
 * has confirmed; whether the phone is paired now.
 * @param {Profile} profile @param {Pairing} pairing @param {{ code?: string, password?: string }}
 *   [given]
 */
export async function confirm(profile, pairing, given = {}) {
  const calls = new PairingCalls(profile);
  const state = given.code
    ? await calls.confirm(pairing.ticket, given)
    : (await calls.pairing(pairing.ticket)).state;
  if (state === "frozen") throw new CannotAnswer("error.pairing-frozen");
  if (state !== "confirmed") return false;
  await takeOver(profile, pairing);
  return true;
}

/** Turn the pairing into a paired phone. @param {Profile} profile @param {Pairing} pairing */
async function takeOver(profile, { cell, name, ks, keys, enrolment }) {
  const { recovery } = enrolment;
  await store.keepCell({ id: cell, name, ks, keys, recovery, pairedAt: now() });
  await store.forgetPairing();
  // Not awaited: some browsers ask the user, who may never answer.
  navigator.storage?.persist?.().catch(() => undefined);
  await uploadRecoveryLock(profile, cell).catch(() => undefined);
}

/** The 12 characters of a pairing. @param {Pairing} pairing */
export const twelveOf = ({ enrolment }) => answers.twelveCharacters(enrolment.enrolment);
