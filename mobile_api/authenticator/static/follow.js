// What waits for an answer, now and after each change (8.3, 8.4). A push message only wakes: the
// list is the truth. Followed while the app can be seen.
// @ts-check

import { LONGEST_WAIT_SECONDS, PhoneCalls } from "./api.js";
import { ANSWER_SECONDS, anyOf, pause, read } from "./http.js";
import { boolean, string } from "./protocol/json.js";
import { ServerRefused } from "./errors.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./api.js").PendingList} PendingList */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {(news: { list?: PendingList, error?: unknown }) => void} Tell */

const READ_AFTER_ROUNDS = 5; // About two minutes without a change, and the list is read anyway.
const PACE_SECONDS = 1;
const AFTER_ERROR_SECONDS = 5;
const AFTER_REFUSAL_SECONDS = 60;

/**
 * Follow one cell's list until told to stop.
 * @param {Profile} profile @param {Cell} cell @param {Tell} tell @param {AbortSignal} signal
 */
export async function follow(profile, cell, tell, signal) {
  const calls = new PhoneCalls(profile, cell.keys.request);
  /** @type {{ list: PendingList | null, cursor: string | null, rounds: number }} */
  const at = { list: null, cursor: null, rounds: 0 };
  while (!signal.aborted) {
    const begun = Date.now();
    try {
      const list = await next(calls, at, signal);
      if (signal.aborted) return;
      if (list.version !== at.list?.version) tell({ list });
      at.list = list;
    } catch (error) {
      if (signal.aborted) return;
      tell({ error });
      at.list = null;
      await pause(afterSeconds(error), signal);
    }
    await pause(PACE_SECONDS - (Date.now() - begun) / 1000, signal);
  }
}

/** @param {unknown} error */
function afterSeconds(error) {
  if (!(error instanceof ServerRefused)) return AFTER_ERROR_SECONDS;
  return Math.max(error.retryAfterSeconds ?? AFTER_REFUSAL_SECONDS, AFTER_ERROR_SECONDS);
}

/**
 * A cursor first, then the list, then wait after that cursor: so nothing is missed.
 * @param {PhoneCalls} calls
 * @param {{ list: PendingList | null, cursor: string | null, rounds: number }} at
 * @param {AbortSignal} signal
 * @returns {Promise<PendingList>}
 */
async function next(calls, at, signal) {
  if (at.list === null) return calls.pending({ signal });
  const { wait, version } = at.list;
  const answer = wait ? await waitAt(wait, at.cursor, signal) : null;
  if (answer === null) {
    at.cursor = null;
    return calls.pending({ version, signal });
  }
  at.cursor = answer.cursor;
  at.rounds += 1;
  if (!answer.changed && at.rounds < READ_AFTER_ROUNDS) return at.list;
  at.rounds = 0;
  return calls.pending({ signal });
}

/**
 * Wait for a change after `cursor`; its clock is not taken over, what cannot be read is no answer.
 * @param {string} address @param {string | null} cursor @param {AbortSignal} signal
 * @returns {Promise<{ changed: boolean, cursor: string } | null>}
 */
async function waitAt(address, cursor, signal) {
  const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
  const late = AbortSignal.timeout(1000 * (ANSWER_SECONDS + LONGEST_WAIT_SECONDS));
  try {
    const response = await fetch(address + query, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: anyOf(signal, late),
    });
    if (!response.ok) return null;
    return read(await response.json(), { changed: boolean, cursor: string(200) });
  } catch {
    return null;
  }
}
