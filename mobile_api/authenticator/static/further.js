// A further phone (docs/phone-protocol.md, 8.2): this phone makes its keys and shows their
// thumbprints; a paired phone scans them from this screen, approves, and so gives this phone the
// cell's secret. KS is pinned only once that secret vouches for it: until then nothing of the ask
// is shown.
// @ts-check

import { PhoneCalls } from "./api.js";
import { now } from "./http.js";
import { CannotAnswer, MessageRefused, ServerRefused } from "./errors.js";
import { cellName } from "./pairing.js";
import { createPasskey, usePasskey } from "./passkey.js";
import { ownKind } from "./platform.js";
import * as answers from "./protocol/answers.js";
import { readAsk } from "./protocol/asks.js";
import { b64u, random, rawUuid, unb64u } from "./protocol/bytes.js";
import { newAgreementKey, newSigningKey, thumbprint } from "./protocol/jose.js";
import { prfSalt, vouchedFor } from "./protocol/locks.js";
import * as store from "./store.js";
import { keepUnlock, openLock, unlockKey } from "./unlocking.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./api.js").FurtherAnswer} FurtherAnswer */
/** @typedef {import("./protocol/jose.js").Key} Key */
/** @typedef {{ approval: Key, request: Key, unlock: Key }} OpenKeys */
/** @typedef {import("./protocol/asks.js").SignedAsk} SignedAsk */

/** Three new keys, in this page alone until the passkey locks them. @returns {Promise<OpenKeys>} */
export const newKeys = async () => ({
  approval: await newSigningKey(),
  request: await newSigningKey(),
  unlock: await newAgreementKey(true),
});

/** @param {OpenKeys} keys */
const publicKeys = ({ approval, request, unlock }) => ({
  approval: approval.jwk,
  request: request.jwk,
  unlock: unlock.jwk,
});

/** What the QR code says. @param {OpenKeys} keys */
export const shownText = (keys) => answers.furtherPhoneText(publicKeys(keys));

/**
 * How it stands; `null` until this phone was scanned.
 * @param {Profile} profile @param {Key} requestKey @returns {Promise<FurtherAnswer | null>}
 */
export async function look(profile, requestKey) {
  try {
    return await new PhoneCalls(profile, requestKey).further();
  } catch (error) {
    if (error instanceof ServerRefused && error.problem === "not-found") return null;
    throw error;
  }
}

/**
 * The ask to let in exactly these keys.
 * @param {FurtherAnswer} answer
 * @param {OpenKeys} keys
 * @returns {Promise<SignedAsk>}
 */
export async function askFor(answer, keys) {
  const signed = await readAsk(answer.ask, answer.ks);
  const { kind, key_thumbprints: named } = signed.ask;
  const own = publicKeys(keys);
  const [approval, request, unlock] = await Promise.all(
    [own.approval, own.request, own.unlock].map(async (jwk) => b64u(await thumbprint(jwk))),
  );
  const isMine =
    named?.approval === approval && named.request === request && named.unlock === unlock;
  if (kind !== "enrol" || !isMine) throw new MessageRefused("this is an ask for another phone");
  return signed;
}

/**
 * Make the passkey, lock the unlock key, store and send the enrolment.
 * @param {Profile} profile @param {SignedAsk} signed @param {OpenKeys} keys
 */
export async function enrolFurther(profile, signed, keys) {
  const own = publicKeys(keys);
  const challenge = await answers.enrolmentChallenge(signed.txHash, own, null);
  const salt = await prfSalt(signed.cell);
  const name = cellName(signed) || profile.ca;
  const registration = await createPasskey({
    rpId: profile.rp_id,
    ca: profile.ca,
    name,
    userId: random(16),
    challenge,
    salt,
  });
  const used = await usePasskey({ rpId: profile.rp_id, id: registration.id, challenge, salt });
  if (used.output === null && !profile.software_unlock) throw new CannotAnswer("error.no-prf");
  const { code: _code, ...kept } = await keepUnlock(
    keys.unlock.privateKey,
    signed.cell,
    used.output,
  );
  used.output?.fill(0);
  const enrolment = await answers.makeEnrolment(keys.approval, {
    txHash: signed.txHash,
    keys: own,
    kind: ownKind(),
    sealed: null,
    epk: null,
    webauthn: { registration, assertion: used.assertion },
  });
  await store.keepFurther({
    cell: signed.ask.cell,
    name,
    ks: signed.ks,
    keys: {
      approval: keys.approval,
      request: keys.request,
      unlock: own.unlock,
      passkey: registration.id,
      ...kept,
    },
    enrolment,
  });
  await new PhoneCalls(profile, keys.request).furtherEnrolment(enrolment);
}

/**
 * The other phone has approved: open the lock, and pin KS if the secret vouches for it.
 * @param {Profile} profile @param {store.Further} begun @param {FurtherAnswer} answer
 * @param {CryptoKey | null} unlock where the page still has it; else the passkey is asked
 */
export async function finishFurther(profile, begun, answer, unlock) {
  if (!answer.lock || !answer.pin) throw new MessageRefused("a confirmed phone has no lock");
  const { cell, name, keys } = begun;
  const asked = { rpId: profile.rp_id, cell, challenge: random(32) };
  const opened = unlock ?? (await unlockKey(keys, asked)).unlock;
  const cellSecret = await openLock(keys, answer.lock, cell, opened);
  const said = {
    ks: await thumbprint(answer.ks),
    approval: await thumbprint(keys.approval.jwk),
    pin: unb64u(answer.pin, 32),
  };
  const isVouched = await vouchedFor(cellSecret, rawUuid(cell), said);
  cellSecret.fill(0);
  if (!isVouched) {
    await store.forgetFurther();
    throw new MessageRefused("the cell's secret does not vouch for this service", "error.stranger");
  }
  await store.keepCell({ id: cell, name, ks: answer.ks, keys, recovery: null, pairedAt: now() });
  await store.forgetFurther();
  // Not awaited: some browsers ask the user, who may never answer.
  navigator.storage?.persist?.().catch(() => undefined);
}
