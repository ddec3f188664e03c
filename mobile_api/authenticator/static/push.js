// Push messages: a subscription for this phone, told to the service for each cell. It can die
// without a word, so it is looked at at each start. A browser may never answer `subscribe`: it gets
// its own time, and the app goes on by looking for itself.
// @ts-check

import { PhoneCalls } from "./api.js";
import { equal, unb64u } from "./protocol/bytes.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {"on" | "off" | "denied" | "none"} PushState */

const SUBSCRIBE_SECONDS = 20;

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
 * Subscribe where need be, and tell the service; whether push messages will come.
 * @param {Profile} profile @param {Cell[]} cells @returns {Promise<boolean>}
 */
export async function keepSubscribed(profile, cells) {
  if (pushState() !== "on" || cells.length === 0) return false;
  const calls = cells.map((cell) => new PhoneCalls(profile, cell.keys.request));
  const subscription = await subscribed(unb64u(await calls[0].pushKey()));
  const { endpoint, keys } = subscription.toJSON();
  if (!endpoint || !keys) return false;
  const body = { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } };
  await Promise.all(calls.map((call) => call.subscribe(body)));
  return true;
}

/** @param {import("./protocol/bytes.js").Bytes} key @returns {Promise<PushSubscription>} */
async function subscribed(key) {
  const { pushManager } = await navigator.serviceWorker.ready;
  const present = await pushManager.getSubscription();
  if (present) {
    const known = present.options.applicationServerKey;
    if (!known || equal(new Uint8Array(known), key)) return present;
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
