// What was asked and answered on this phone: the signer's own receipts.
// @ts-check

import { h, icon, outside } from "../dom.js";
import * as store from "../store.js";
import { cellLine, cellName, screen } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Entry} Entry */

/** @type {Record<Entry["decision"], string>} */
const PICTURES = {
  approved: "yes",
  failed: "alert",
  rejected: "no",
  not_me: "alert",
  stranger: "alert",
  refused: "alert",
};

/** @type {import("../app.js").Screen} */
export async function history(app, [cell, tx]) {
  const entries = await store.history();
  const entry = entries.find((known) => known.cell === cell && known.tx === tx);
  return { tab: "history", element: entry ? one(app, entry) : all(app, entries) };
}

/** @param {App} app @param {Entry[]} entries */
function all(app, entries) {
  const { t, moment } = app.words;
  return screen(
    t("history.title"),
    { id: "history" },
    entries.length === 0 &&
      h("div", { class: "empty" }, icon("history"), h("p", null, t("history.none"))),
    h(
      "ul",
      { class: "list", "data-testid": "history" },
      entries.map((entry) =>
        h(
          "li",
          null,
          h(
            "a",
            {
              href: `#/history/${entry.cell}/${entry.tx}`,
              "data-testid": "entry",
              "data-decision": entry.decision,
            },
            h("span", { class: `dot ${entry.decision}` }, icon(PICTURES[entry.decision])),
            h(
              "span",
              { class: "grow" },
              h("strong", null, outside(entry.title || t(`decision.${entry.decision}`))),
              h(
                "span",
                { class: "small" },
                t(`decision.${entry.decision}`),
                entry.by && [" · ", outside(entry.by)],
              ),
              h(
                "span",
                { class: "small" },
                moment(entry.at),
                app.cells.length > 1 && ` · ${cellName(app, entry.cell)}`,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

/**
 * The text as it was signed, read again from the ask.
 * @param {Entry} entry
 * @returns {{ lines: string[], count: number }}
 */
function read({ ask, list }) {
  if (!ask) return { lines: [], count: 0 };
  const payload = ask.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  const { kind, text } = JSON.parse(new TextDecoder().decode(bytes));
  return { lines: text.lines, count: kind === "sign" ? list.length : 0 };
}

/** @param {App} app @param {Entry} entry */
function one(app, entry) {
  const { t, moment } = app.words;
  const { lines, count } = read(entry);
  const save = h(
    "button",
    { class: "button quiet", "data-testid": "save-receipt" },
    t("receipt.save"),
  );
  save.addEventListener("click", () => download(`cellkey-${entry.tx}.json`, entry));
  return screen(
    entry.title || t(`decision.${entry.decision}`),
    { id: "entry", back: "#/history", backWord: t("tab.history") },
    cellLine(app, entry.cell),
    h(
      "p",
      { class: `verdict ${entry.decision}` },
      icon(PICTURES[entry.decision]),
      t(`decision.${entry.decision}`),
      " · ",
      moment(entry.at),
    ),
    h(
      "div",
      { class: "card ask" },
      entry.by &&
        h(
          "p",
          { class: "asks" },
          h("span", { class: "small" }, t("asks")),
          h("strong", null, outside(entry.by)),
        ),
      lines.map((line) => h("p", { class: "line" }, outside(line))),
      count > 0 && h("p", { class: "small" }, t("documents", { n: count })),
      entry.reason && h("p", { class: "small" }, t("refused.detail", { message: entry.reason })),
    ),
    h("p", { class: "small" }, t("receipt.id"), h("code", null, entry.tx)),
    entry.answer && h("p", { class: "hint" }, t("receipt.text")),
    entry.answer && save,
  );
}

/** @param {string} name @param {Entry} entry */
function download(name, { cell, tx, at, ask, list, answer, decision }) {
  const written = JSON.stringify({ decision, at, cell, tx, ask, list, answer }, null, 1);
  const url = URL.createObjectURL(new Blob([written], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
