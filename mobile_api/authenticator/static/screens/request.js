// One transaction: who asks, the text of the verified ask, the documents, the number where it is
// asked, the time left. Approving asks for the biometric here and nowhere else.
// @ts-check

import { PhoneCalls } from "../api.js";
import { now, pause } from "../http.js";
import { h, icon, outside, visible } from "../dom.js";
import { MessageRefused, ServerRefused, StrangerAsks } from "../errors.js";
import { b64u } from "../protocol/bytes.js";
import * as store from "../store.js";
import {
  approve,
  fetchTransaction,
  isStored,
  noteRefused,
  refuse,
  sendApproval,
} from "../transactions.js";
import { documentList } from "./documents.js";
import { scanFurther, scannedFor } from "./further_scan.js";
import { overScreen } from "./over.js";
import { alertLine, cellLine, field, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../app.js").Drawn} Drawn */
/** @typedef {import("../store.js").Cell} Cell */
/** @typedef {import("../transactions.js").Shown} Shown */

/** @type {import("../app.js").Screen} */
export async function request(app, [id, cellId], signal) {
  const { cell, shown, error } = await found(app, id, cellId);
  if (error) return refusedScreen(app, cell, id, error);
  if (shown.state !== "pending") return { element: await overScreen(app, cell, shown) };
  if (await isStored(b64u(shown.checked.txHash)))
    return { element: unsentScreen(app, cell, shown) };
  return { element: requestScreen(app, cell, shown, signal), asks: shown.id };
}

/**
 * The transaction, in the cell that it belongs to: a push message does not say which.
 * @param {App} app @param {string} id @param {string | undefined} cellId
 * @returns {Promise<{ cell: Cell, shown: Shown, error?: undefined } | { cell: Cell, error:
 *   MessageRefused, shown?: undefined }>}
 */
async function found(app, id, cellId) {
  const candidates = cellId ? app.cells.filter((cell) => cell.id === cellId) : app.cells;
  let last = /** @type {unknown} */ (new MessageRefused("no such cell", "problem.not-found"));
  for (const cell of candidates) {
    try {
      return { cell, shown: await fetchTransaction(app.profile, cell, id) };
    } catch (error) {
      if (error instanceof MessageRefused) return { cell, error };
      last = error;
      if (!(error instanceof ServerRefused && error.problem === "not-found")) throw error;
    }
  }
  throw last;
}

/** @param {App} app @param {Cell} cell @param {Shown} shown @param {AbortSignal} signal */
function requestScreen(app, cell, shown, signal) {
  const { t } = app.words;
  const { ask, items } = shown.checked;
  const alert = alertLine();
  const number = ask.number_asked
    ? field(app, {
        name: "number",
        label: "number.label",
        hint: "number.hint",
        attributes: {
          inputmode: "numeric",
          maxlength: 2,
          autocomplete: "off",
          pattern: "[0-9]{2}",
          class: "digits",
        },
      })
    : null;
  const scanner = ask.kind === "enrol" ? scanFurther(app, shown, signal) : null;
  const answered = (/** @type {string} */ decision) =>
    app.go(`/done/${decision}/${shown.id}/${cell.id}`);
  const yes = working(app, { word: "approve", id: "approve", alert, submit: true }, async () => {
    await approve(app.profile, cell, shown, {
      number: number ? number.input.value.trim() : null,
      furtherPhone: scannedFor(shown.id),
    });
    app.cells = await store.cells();
    done(app, cell, shown);
    answered("approved");
  });
  const no = working(app, { word: "reject", id: "reject", quiet: true, alert }, async () => {
    await refuse(app.profile, cell, shown, "reject");
    done(app, cell, shown);
    answered("rejected");
  });
  const notMe = working(
    app,
    { word: "not-me", id: "not-me", quiet: true, bad: true, alert },
    async () => {
      await refuse(app.profile, cell, shown, "not_me");
      done(app, cell, shown);
      answered("not_me");
    },
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    yes.run();
  };
  return screen(
    visible(ask.text.title),
    { id: "request", back: "#/", backWord: t("tab.requests"), lang: visible(ask.text.lang) },
    cellLine(app, cell.id),
    h(
      "div",
      { class: "card ask", "data-testid": "ask" },
      h(
        "p",
        { class: "asks" },
        h("span", { class: "small" }, t("asks")),
        h("strong", { "data-testid": "asked-by" }, outside(ask.rp.name)),
      ),
      ask.fields.type === "generic" &&
        ask.text.lines.length > 0 &&
        h("p", { class: "small" }, t("party-says")),
      ask.text.lines.map((line) =>
        h("p", { class: "line", lang: visible(ask.text.lang) }, outside(line)),
      ),
    ),
    items.length > 0 && ask.kind === "sign" && documentList(app, items),
    timer(app, ask.exp, signal, () => yes.setAttribute("disabled", "")),
    h(
      "form",
      { class: "answer", novalidate: true, on: { submit } },
      scanner,
      number?.element,
      alert,
      yes,
      h("div", { class: "row" }, no, notMe),
    ),
  );
}

/**
 * The transaction leaves the list at once; the list itself will say so soon.
 * @param {App} app
 * @param {Cell} cell
 * @param {Shown} shown
 */
function done(app, cell, shown) {
  const list = app.pending.get(cell.id);
  if (list) {
    const transactions = list.transactions.filter((transaction) => transaction.id !== shown.id);
    app.pending.set(cell.id, { ...list, transactions });
  }
}

/** @param {App} app @param {number} exp @param {AbortSignal} signal @param {() => void} onEnd */
function timer(app, exp, signal, onEnd) {
  const { t, moment } = app.words;
  const left = h("span", { "data-testid": "time-left" });
  const element = h("p", { class: "timer", role: "timer" }, icon("history"), left);
  const tick = async () => {
    while (!signal.aborted) {
      const seconds = exp - now();
      if (seconds < 0) {
        left.textContent = t("time.over");
        onEnd();
        return;
      }
      left.textContent =
        seconds >= 3600
          ? t("until", { moment: moment(exp) })
          : t("time.left", {
              minutes: Math.floor(seconds / 60),
              seconds: String(seconds % 60).padStart(2, "0"),
            });
      await pause(1, signal);
    }
  };
  tick();
  return element;
}

/**
 * An approval that was signed and stored, but may not have arrived: the same bytes again.
 * @param {App} app
 * @param {Cell} cell
 * @param {Shown} shown
 */
function unsentScreen(app, cell, shown) {
  const { t } = app.words;
  const alert = alertLine();
  const send = working(app, { word: "send-again", id: "send-again", alert }, async () => {
    await sendApproval(app.profile, cell, shown.id, b64u(shown.checked.txHash));
    app.go(`/done/approved/${shown.id}/${cell.id}`);
  });
  return screen(
    visible(shown.checked.ask.text.title),
    { id: "unsent", back: "#/", backWord: t("tab.requests") },
    cellLine(app, cell.id),
    h("p", null, t("unsent")),
    alert,
    send,
  );
}

/**
 * What failed a check is not shown, not even in part, and cannot be answered.
 * @param {App} app @param {Cell} cell @param {string} id @param {MessageRefused} error @returns
 *   {Promise<Drawn>}
 */
async function refusedScreen(app, cell, id, error) {
  const { t } = app.words;
  await noteRefused(cell, id, error);
  const stranger = error instanceof StrangerAsks;
  return {
    element: screen(
      t(stranger ? "stranger.title" : "refused.title"),
      { id: "refused-by-phone", back: "#/", backWord: t("tab.requests") },
      cellLine(app, cell.id),
      h(
        "p",
        { class: "notice bad", role: "alert", "data-testid": "stranger" },
        icon("alert"),
        t(stranger ? "stranger.text" : "refused.text", { ca: app.profile.ca }),
      ),
      h("p", { class: "small" }, t("refused.detail", { message: error.message })),
      h("a", { class: "button", href: "#/" }, t("back")),
    ),
  };
}

/** @type {Record<string, string>} */
const SEALS = { approved: "yes", saved: "yes", rejected: "no" };

/** What was answered, and what follows from it. @type {import("../app.js").Screen} */
export function answered(app, [decision, _id, cellId]) {
  const { t } = app.words;
  const cell = app.cells.find((known) => known.id === cellId);
  const alert = alertLine();
  const freeze =
    cell &&
    working(app, { word: "freeze", id: "freeze", bad: true, alert }, async () => {
      await new PhoneCalls(app.profile, cell.keys.request).freeze();
      app.go(`/done/frozen/-/${cellId}`);
    });
  const offer = decision === "not_me";
  return {
    element: screen(
      t(`done.${decision}`),
      { id: `done-${decision}` },
      h("div", { class: `seal ${decision}` }, icon(SEALS[decision] ?? "alert")),
      cell && cellLine(app, cell.id),
      h("p", { class: "lead", "data-testid": "done" }, t(`done.${decision}.text`)),
      offer && [h("p", null, t("freeze.offer")), alert, freeze],
      h(
        "a",
        { class: `button ${offer ? "quiet" : ""}`, href: "#/", "data-testid": "to-requests" },
        t(offer ? "freeze.no" : "close"),
      ),
    ),
  };
}
