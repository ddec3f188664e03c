// The app: what is known, which screen is shown, and what goes on beside it (the list of requests,
// the worker, push messages). A screen is a function that gives its element; each has one heading,
// which gets the focus. Nothing is ever approved here.
// @ts-check

import { profile as readProfile } from "./api.js";
import { h } from "./dom.js";
import { expectAnswer, isOver, noticeEnded } from "./ended.js";
import { ServerRefused, Unreachable } from "./errors.js";
import { follow } from "./follow.js";
import { uploadRecoveryLock } from "./recovering.js";
import { keepSubscribed } from "./push.js";
import { drawNotices, drawTabs } from "./frame.js";
import { SCREENS } from "./screens.js";
import * as store from "./store.js";
import { sendStored } from "./transactions.js";
import { languageOf, loadWords } from "./words.js";
import { mustInstallFirst, registerWorker } from "./worker.js";

/** @typedef {import("./api.js").Profile} Profile */
/** @typedef {import("./api.js").PendingList} PendingList */
/** @typedef {import("./store.js").Cell} Cell */
/** @typedef {import("./words.js").Words} Words */
/**
 * @typedef {{ offline: boolean, update: ServiceWorker | null, refused: Map<string, string> }}
 *   Status `refused`: what the service says to a cell's phone, by cell
 */
/**
 * @typedef {object} App what every screen is given
 * @property {Profile} profile
 * @property {Words} words
 * @property {Cell[]} cells
 * @property {Map<string, PendingList>} pending by cell
 * @property {Status} status
 * @property {(() => void) | null} install opens the browser's own prompt to install, once it is
 *   offered
 * @property {(path: string) => void} go
 * @property {() => Promise<void>} reload read the store anew and draw
 * @property {(lang: string) => Promise<void>} speak
 * @property {(error: unknown) => string} explain
 * @property {() => Promise<void>} wake see to push messages
 */
/** @typedef {{ element: HTMLElement, tab?: string, live?: boolean, asks?: string }} Drawn */
/** @typedef {(app: App, parts: string[], signal: AbortSignal) => Promise<Drawn> | Drawn} Screen */

/** What the service says of a phone, not of a call. */
const LASTING = ["unauthenticated", "frozen"];

/** @type {App} */
let app;
let leaving = new AbortController();
let following = new AbortController();

async function start() {
  const [profile, choices, cells] = await Promise.all([
    readProfile(),
    store.choices(),
    store.cells(),
  ]);
  app = {
    profile,
    cells,
    words: await loadWords(languageOf(choices.lang)),
    pending: new Map(),
    status: { offline: !navigator.onLine, update: null, refused: new Map() },
    install: null,
    go,
    reload,
    speak,
    explain,
    wake,
  };
  dress();
  registerWorker({ onUpdate: (worker) => note({ update: worker }), onMessage });
  addEventListener("hashchange", () => draw());
  addEventListener("online", () => (note({ offline: false }), followCells()));
  addEventListener("offline", () => note({ offline: true }));
  document.addEventListener("visibilitychange", followCells);
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    app.install = () => /** @type {any} */ (event).prompt();
    refresh();
  });
  addEventListener("pointerdown", () => (pressed = true), true);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, released, true);
  enter();
  await draw();
  followCells();
  await Promise.all([
    sendStored(profile, cells),
    ...cells.map((cell) => uploadRecoveryLock(profile, cell.id)),
  ]).catch(() => undefined);
  await wake();
}

/** The authority's colour and name, and the language, on the page itself. */
function dress() {
  document.documentElement.lang = app.words.lang;
  document.documentElement.style.setProperty("--brand", app.profile.color);
  document.title = app.profile.ca;
  const name = document.getElementById("ca");
  if (name) name.textContent = app.profile.ca;
}

/**
 * Where the app was opened: by a notification (`?tx=`), by QR 1 (its fragment says nothing new), or
 *   plainly.
 */
function enter() {
  const transaction = new URLSearchParams(location.search).get("tx");
  const path = transaction
    ? `/tx/${transaction}`
    : location.hash.startsWith("#/")
      ? location.hash.slice(1)
      : "/";
  history.replaceState(null, "", `/#${path}`);
}

/** @param {string} path */
function go(path) {
  if (location.hash === `#${path}`) draw();
  else location.hash = path;
}

async function reload() {
  app.cells = await store.cells();
  for (const id of app.pending.keys()) {
    if (!app.cells.some((cell) => cell.id === id)) app.pending.delete(id);
  }
  followCells();
  await draw();
}

/** @param {string} lang */
async function speak(lang) {
  await store.choose({ lang });
  app.words = await loadWords(lang);
  dress();
  await draw();
}

async function wake() {
  await keepSubscribed(app.profile, app.cells, store.changeCell).catch(() => false);
}

// --- screens ------------------------------------------------------------------------

const screenHere = () => /** @type {HTMLElement} */ (document.getElementById("main"));
/** @returns {string[]} */
const here = () => location.hash.slice(2).split("/").filter(Boolean).map(decodeURIComponent);

/** @param {string[]} parts @returns {Screen} */
function screenAt(parts) {
  if (mustInstallFirst()) return SCREENS.install;
  if (app.cells.length === 0 && !["pair", "further"].includes(parts[0])) return SCREENS.welcome;
  return SCREENS[parts[0] ?? "requests"] ?? SCREENS.requests;
}

let drawing = 0;

/** @param {{ quietly?: boolean }} [how] quietly: the same screen with newer content, focus stays */
async function draw({ quietly = false } = {}) {
  const turn = (drawing += 1);
  const parts = here();
  const screen = screenAt(parts);
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const main = screenHere();
  main.setAttribute("aria-busy", "true");
  let drawn;
  try {
    drawn = await screen(app, parts.slice(1), signal);
  } catch (error) {
    drawn = { element: failed(error) };
  }
  if (turn !== drawing) return;
  main.removeAttribute("aria-busy");
  const focused =
    main.contains(document.activeElement) && document.activeElement?.getAttribute("href");
  main.replaceChildren(drawn.element);
  main.dataset.live = String(drawn.live ?? false);
  expectAnswer(main, drawn.asks);
  drawTabs(app, drawn.tab ?? null);
  drawNotices(app);
  if (quietly) {
    const same = [...main.querySelectorAll("a")].find(
      (link) => focused && link.getAttribute("href") === focused,
    );
    same?.focus({ preventScroll: true });
    return;
  }
  scrollTo(0, 0);
  main.scrollTo(0, 0);
  const heading = main.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}

// What a finger is on stays where it is: drawn anew, it would hear of no tap.

const TAP_MS = 100;
let pressed = false;
let stale = false;

/** There is something new: draw the screen, if it is one that shows such, or the tabs alone. */
function refresh() {
  stale = pressed;
  if (pressed) return;
  if (screenHere().dataset.live === "true") draw({ quietly: true });
  else if (isOver(screenHere())) draw();
  else drawTabs(app);
}

/** The tap that ends is heard just after it. */
function released() {
  pressed = false;
  setTimeout(() => stale && refresh(), TAP_MS);
}

/** @param {unknown} error */
const failed = (error) =>
  h(
    "section",
    { class: "screen" },
    h("h1", null, app.words.t("error.title")),
    h("p", { role: "alert", "data-testid": "error" }, explain(error)),
    h(
      "button",
      { class: "button", "data-testid": "again", on: { click: () => draw() } },
      app.words.t("again"),
    ),
    h("a", { class: "button quiet", href: "#/" }, app.words.t("back")),
  );

/** What a person reads of an error. @param {unknown} error */
function explain(error) {
  const { t, has } = app.words;
  const word = /** @type {{ word?: string }} */ (error ?? {}).word;
  if (word && has(word)) {
    const members = error instanceof ServerRefused ? error.members : {};
    return t(word, { n: Number(members.tries_left ?? 0), state: String(members.state ?? "") });
  }
  if (error instanceof ServerRefused) return t("problem.other", { name: error.problem });
  return t("error.other", { message: error instanceof Error ? error.message : "" });
}

// --- beside the screen -----------------------------------------------------------------

/** @param {Partial<Status>} news */
function note(news) {
  Object.assign(app.status, news);
  drawNotices(app);
}

/** Follow each cell's list while the app can be seen. */
function followCells() {
  following.abort();
  following = new AbortController();
  if (document.visibilityState !== "visible") return;
  for (const cell of app.cells) {
    follow(app.profile, cell, (news) => heard(cell, news), following.signal);
  }
}

/** @param {Cell} cell @param {{ list?: PendingList, error?: unknown }} news */
function heard(cell, { list, error }) {
  if (list) {
    app.pending.set(cell.id, list);
    app.status.refused.delete(cell.id);
    note({ offline: false });
    badge();
    noticeEnded(screenHere(), app.cells, app.pending);
    refresh();
  } else if (error instanceof Unreachable) {
    note({ offline: true });
  } else if (error instanceof ServerRefused && LASTING.includes(error.problem)) {
    app.status.refused.set(cell.id, error.problem);
    drawNotices(app);
  }
}

function badge() {
  const count = [...app.pending.values()].reduce(
    (sum, { transactions }) => sum + transactions.length,
    0,
  );
  const set = count ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
  set?.catch(() => undefined);
}

/** @param {{ open?: string, woken?: boolean, subscribe?: boolean }} message of the worker */
function onMessage(message) {
  if (message.open) go(`/tx/${message.open}`);
  if (message.woken) followCells();
  if (message.subscribe) wake();
}

await start();
