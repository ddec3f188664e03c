// A paired phone and its transactions (section 6): check, show, answer. A transaction is shown only
// after all checks. An approval is stored before it is sent; sending again repeats those bytes.
// @ts-check

import { PhoneCalls } from "./api.js";
import { now } from "./http.js";
import { CannotAnswer, MessageRefused, ServerRefused } from "./errors.js";
import * as answers from "./protocol/answers.js";
import { checkDocuments, readAsk, trust } from "./protocol/asks.js";
import { b64u, concat, equal, rawUuid, unb64u } from "./protocol/bytes.js";
import { newAgreementKey, thumbprint } from "./protocol/jose.js";
import * as store from "./store.js";
import { openLock, unlockKey } from "./unlocking.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./api.js").TransactionAnswer} TransactionAnswer */
/** @typedef {import("./protocol/asks.js").CheckedAsk} CheckedAsk */
/** @typedef {import("./protocol/jose.js").Key} Key */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {import("./store.js").Entry} Entry */
/**
 * @typedef {object} Shown a checked transaction, fit to be shown and answered
 * @property {string} id
 * @property {string} state
 * @property {CheckedAsk} checked
 * @property {string | null} lock this phone's device lock
 * @property {string} ask as received
 * @property {string[]} list as received
 * @property {Key} ephemeral made before the finger is asked for, so that nothing delays that
 */
/**
 * @typedef {{ number: string | null, furtherPhone: string | null }} Consent what the signer adds to
 *   "yes"
 */

/**
 * Fetch a transaction and check everything about it.
 * @param {Profile} profile @param {Cell} cell @param {string} id @returns {Promise<Shown>}
 */
export async function fetchTransaction(profile, cell, id) {
  rawUuid(id);
  const answer = await new PhoneCalls(profile, cell.keys.request).transaction(id);
  const checked = await check(answer, cell, id);
  await store.changeCell(cell.id, { ks: checked.ks });
  const { state, ask, list, lock } = answer;
  return { id, state, checked, lock, ask, list, ephemeral: await newAgreementKey(false) };
}

/**
 * @param {TransactionAnswer} answer
 * @param {Cell} cell
 * @param {string} expected
 * @returns {Promise<CheckedAsk>}
 */
async function check(answer, cell, expected) {
  const signed = await readAsk(answer.ask, answer.ks);
  const pin = await thumbprint(cell.ks);
  const trusted = await trust(signed, { pin, pinned: cell.ks, keys: answer.keys });
  if (signed.ask.jti !== expected || signed.ask.cell !== cell.id) {
    throw new MessageRefused("this is another transaction, or one of another cell");
  }
  return checkDocuments(trusted, answer.list);
}

/**
 * Approve: the passkey, then the lock, then the seal, then the signature; stored, then sent.
 * @param {Profile} profile @param {Cell} cell @param {Shown} shown @param {Consent} consent
 * @returns {Promise<string>} the state that it led to
 */
export async function approve(profile, cell, shown, consent) {
  const { checked, lock, ephemeral } = shown;
  const txHash = b64u(checked.txHash);
  if (await isStored(txHash)) return sendApproval(profile, cell, shown.id, txHash);
  if (now() > checked.ask.exp) throw new CannotAnswer("error.too-late");
  if (lock === null) throw new CannotAnswer("error.over");
  checkConsent(checked, consent);
  const challenge = await answers.approvalChallenge(checked.txHash, ephemeral.jwk);
  const wanted = { rpId: profile.rp_id, cell: cell.id, challenge };
  const { assertion, unlock } = await unlockKey(cell.keys, wanted);
  const cellSecret = await openLock(cell.keys, lock, cell.id, unlock);
  const { approval } = cell.keys;
  const to = { sam: checked.ask.sam, ephemeral, approval: approval.jwk, txHash: checked.txHash };
  const sealed = await answers.sealSecret(cellSecret, to);
  cellSecret.fill(0);
  const made = await answers.makeApproval(approval, {
    tx: shown.id,
    txHash: checked.txHash,
    sealed,
    epk: ephemeral.jwk,
    number: consent.number,
    webauthn: assertion,
    now: now(),
  });
  await store.keepAnswer({
    cell: cell.id,
    tx: shown.id,
    txHash,
    approval: made,
    sealed,
    exp: checked.ask.exp,
  });
  await remember(cell, shown, "approved", made);
  if (checked.ask.kind === "enrol") await store.changeCell(cell.id, { hasSecond: true });
  return sendApproval(profile, cell, shown.id, txHash);
}

/**
 * Whether this ask was answered before, in bytes that may not have arrived.
 * @param {string} txHash
 */
export const isStored = async (txHash) =>
  (await store.answers()).some((made) => made.txHash === txHash);

/**
 * Send the stored bytes, and again after a network that failed.
 * @param {Profile} profile @param {Cell} cell @param {string} id @param {string} txHash
 * @returns {Promise<string>}
 */
export async function sendApproval(profile, cell, id, txHash) {
  const answer = (await store.answers()).find((made) => made.txHash === txHash);
  if (!answer) throw new CannotAnswer("error.over");
  try {
    const state = await new PhoneCalls(profile, cell.keys.request).approve(id, answer);
    await store.forgetAnswer(txHash);
    return state;
  } catch (error) {
    if (error instanceof ServerRefused) {
      await store.forgetAnswer(txHash);
      await store.changeEntry(cell.id, id, { decision: "failed", reason: error.message });
    }
    throw error;
  }
}

/** Send what an earlier launch could not. @param {Profile} profile @param {Cell[]} cells */
export async function sendStored(profile, cells) {
  for (const { cell: id, tx, txHash, exp } of await store.answers()) {
    const cell = cells.find((known) => known.id === id);
    if (!cell || now() > exp) {
      await store.forgetAnswer(txHash);
      await store.changeEntry(id, tx, {
        decision: "failed",
        reason: "it could not be sent in time",
      });
    } else await sendApproval(profile, cell, tx, txHash).catch(() => undefined);
  }
}

/**
 * What the signer adds, where the ask wants it and nowhere else.
 * @param {CheckedAsk} checked
 * @param {Consent} consent
 */
function checkConsent({ ask }, { number, furtherPhone }) {
  if (ask.number_asked ? !/^[0-9]{2}$/.test(number ?? "") : number !== null) {
    throw new CannotAnswer("error.number");
  }
  if (ask.kind !== "enrol") return;
  // A key that came only from the service is never sealed to (section 5).
  if (ask.key_thumbprints === null || furtherPhone === null)
    throw new CannotAnswer("error.scan-the-phone");
  const { approval, request, unlock } = ask.key_thumbprints;
  const asked = concat(unb64u(approval, 32), unb64u(request, 32), unb64u(unlock, 32));
  const scanned = answers.readFurtherPhone(furtherPhone);
  if (scanned === null || !equal(scanned, asked)) throw new CannotAnswer("error.another-phone");
}

/**
 * Refuse; needs neither passkey nor lock, and no time limit holds.
 * @param {Profile} profile @param {Cell} cell @param {Shown} shown @param {"reject" | "not_me"}
 *   decision
 */
export async function refuse(profile, cell, shown, decision) {
  const said = { tx: shown.id, txHash: shown.checked.txHash, decision, now: now() };
  const made = await answers.makeRefusal(cell.keys.request, said);
  const state = await new PhoneCalls(profile, cell.keys.request).refuse(shown.id, made);
  await remember(cell, shown, decision === "reject" ? "rejected" : "not_me", made);
  return state;
}

/**
 * @param {Cell} cell
 * @param {Shown} shown
 * @param {Entry["decision"]} decision
 * @param {string} answer
 */
const remember = (cell, { id, checked, ask, list }, decision, answer) =>
  store.keepEntry({
    cell: cell.id,
    tx: id,
    decision,
    at: now(),
    title: checked.ask.text.title,
    by: checked.ask.rp.name,
    ask,
    list,
    answer,
  });

/**
 * Note what was not shown, and why; nothing of its text is kept.
 * @param {Cell} cell
 * @param {string} id
 * @param {MessageRefused} error
 */
export const noteRefused = (cell, id, error) =>
  store.keepEntry({
    cell: cell.id,
    tx: id,
    decision: error.word === "error.stranger" ? "stranger" : "refused",
    at: now(),
    title: "",
    by: "",
    ask: "",
    list: [],
    answer: null,
    reason: error.message,
  });
