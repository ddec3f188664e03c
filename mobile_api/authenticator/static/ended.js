// What waited for an answer and waits no more: answered here or elsewhere, called off, or too late.
// @ts-check

/** @typedef {import("./api.js").PendingList} PendingList */
/** @typedef {import("./store.js").Cell} Cell */

/** As far as this page knows. @type {Set<string>} */
const expected = new Set();

/**
 * A screen is shown, and the end of what it asks to be noticed.
 * @param {HTMLElement} main @param {string} [asks] the transaction that waits for an answer there
 */
export function expectAnswer(main, asks) {
  main.dataset.asks = asks ?? "";
  main.dataset.over = "false";
  if (asks) expected.add(asks);
}

/**
 * Whether the screen asks what has ended; not while an answer is given, whose end it is, nor where
 * the screen says already what came of it.
 * @param {HTMLElement} main
 */
export const isOver = (main) =>
  main.dataset.over === "true" &&
  main.querySelector("[aria-busy=true], [role=alert]:not(:empty)") === null;

/**
 * Notice what has ended, once all lists are known: on the screen, and in what was notified.
 * @param {HTMLElement} main @param {Cell[]} cells @param {Map<string, PendingList>} pending
 */
export function noticeEnded(main, cells, pending) {
  if (!cells.every((cell) => pending.has(cell.id))) return;
  const lists = [...pending.values()];
  const waiting = new Set(lists.flatMap(({ transactions }) => transactions.map(({ id }) => id)));
  const ended = [...expected].filter((id) => !waiting.has(id));
  for (const id of ended) expected.delete(id);
  for (const id of waiting) expected.add(id);
  if (ended.includes(main.dataset.asks ?? "")) main.dataset.over = "true";
  silence(ended).catch(() => undefined);
}

/** @param {string[]} ended */
async function silence(ended) {
  const registration = await navigator.serviceWorker?.getRegistration();
  const shown = (await registration?.getNotifications()) ?? [];
  for (const notification of shown) if (ended.includes(notification.tag)) notification.close();
}
