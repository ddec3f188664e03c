// Push messages: a subscription for this phone, told to the service for each cell. It can die
// without a word, so it is looked at at each start. A browser may never answer `subscribe`: it gets
// its own time, and the app goes on by looking for itself.
// @ts-check

import { PhoneCalls } from "./api.js";
import { ServerRefused } from "./errors.js";
import { equal, unb64u } from "./protocol/bytes.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {(cell: string, changed: Partial<Cell>) => Promise<unknown>} Remember */
/** @typedef {"on" | "off" | "denied" | "none"} PushState */

const SUBSCRIBE_SECONDS = 20;
const GONE = 410;

/** @returns {PushState} */
export function pushState() {
  if (!("PushManager" in globalThis) || !("Notification" in globalThis)) return "none";
  if (Notification.permission === "denied") return "denied";
  return Notification.permission === "granted" ? "on" : "off";
}

/** Ask for permission; to be called from a tap. @returns {Promise<boolean>} */
export const askToNotify = async () =>
  "Notification" in globalThis && (await Notification.requestPermission()) === "granted";

/**
 * Subscribe where need be, and tell the service; whether push messages will come. A subscription
 *   that the service was told of and has forgotten since is dead: it is replaced, once.
 * @param {Profile} profile @param {Cell[]} cells @param {Remember} remember
 * @returns {Promise<boolean>}
 */
export async function keepSubscribed(profile, cells, remember) {
  if (pushState() !== "on" || cells.length === 0) return false;
  const calls = new Map(cells.map((cell) => [cell, new PhoneCalls(profile, cell.keys.request)]));
  const key = unb64u(await [...calls.values()][0].pushKey());
  try {
    return await tell(calls, await subscribed(key), remember);
  } catch (error) {
    if (!(error instanceof ServerRefused && error.status === GONE)) throw error;
  }
  return tell(calls, await subscribed(key, { anew: true }), remember);
}

/**
 * Every cell is told before the first refusal counts: no call overtakes one of a later attempt.
 * @param {Map<Cell, PhoneCalls>} calls @param {PushSubscription} subscription
 * @param {Remember} remember @returns {Promise<boolean>}
 */
async function tell(calls, subscription, remember) {
  const { endpoint, keys } = subscription.toJSON();
  if (!endpoint || !keys) return false;
  const body = { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } };
  const told = await Promise.allSettled(
    [...calls].map(async ([cell, call]) => {
      await call.subscribe({ ...body, again: cell.wokenAt === endpoint });
      if (cell.wokenAt !== endpoint) await remember(cell.id, { wokenAt: endpoint });
      cell.wokenAt = endpoint;
    }),
  );
  for (const each of told) if (each.status === "rejected") throw each.reason;
  return true;
}

/**
 * @param {import("./protocol/bytes.js").Bytes} key @param {{ anew?: boolean }} [how] anew: not the
 *   one that is there
 * @returns {Promise<PushSubscription>}
 */
async function subscribed(key, { anew = false } = {}) {
  const { pushManager } = await navigator.serviceWorker.ready;
  const present = await pushManager.getSubscription();
  if (present) {
    const known = present.options.applicationServerKey;
    if (!anew && (!known || equal(new Uint8Array(known), key))) return present;
    await present.unsubscribe();
  }
  const options = { userVisibleOnly: true, applicationServerKey: key };
  return inTime(pushManager.subscribe(options), SUBSCRIBE_SECONDS);
}

/** @template T @param {Promise<T>} promise @param {number} seconds @returns {Promise<T>} */
const inTime = (promise, seconds) =>
  Promise.race([
    promise,
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error("no answer in time")), 1000 * seconds),
    ),
  ]);
