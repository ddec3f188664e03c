// A request that can no longer be approved here. Where somebody else than this phone approved it,
// its owner may still say "not me": that counts until all is signed.
// @ts-check

import { h } from "../dom.js";
import { b64u } from "../protocol/bytes.js";
import * as store from "../store.js";
import { isStored, refuse } from "../transactions.js";
import { alertLine, cellLine, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Cell} Cell */
/** @typedef {import("../transactions.js").Shown} Shown */

/** @param {App} app @param {Cell} cell @param {Shown} shown @returns {Promise<HTMLElement>} */
export async function overScreen(app, cell, shown) {
  const { t, has } = app.words;
  const { state } = shown;
  const isElsewhere =
    ["approved", "redeemed"].includes(state) && !(await approvedHere(cell, shown));
  const word = has(`state.${state}`) ? `state.${state}` : "state.over";
  return screen(
    t("over.title"),
    { id: "over", back: "#/", backWord: t("tab.requests") },
    cellLine(app, cell.id),
    h(
      "p",
      { "data-testid": "state", "data-state": state },
      t(isElsewhere ? `state.elsewhere.${state}` : word),
    ),
    isElsewhere && (state === "approved" ? stillStopped(app, cell, shown) : lockOffer(app, cell)),
    h("a", { class: "button", href: "#/" }, t("back")),
  );
}

/** @param {Cell} cell @param {Shown} shown */
async function approvedHere(cell, shown) {
  const entries = await store.history();
  return (
    entries.some(
      (entry) => entry.tx === shown.id && entry.cell === cell.id && entry.decision === "approved",
    ) || isStored(b64u(shown.checked.txHash))
  );
}

/** @param {App} app @param {Cell} cell @param {Shown} shown */
function stillStopped(app, cell, shown) {
  const alert = alertLine();
  const how = { word: "not-me", id: "not-me", quiet: true, bad: true, alert };
  const notMe = working(app, how, async () => {
    await refuse(app.profile, cell, shown, "not_me");
    app.go(`/done/not_me/${shown.id}/${cell.id}`);
  });
  return [h("p", null, app.words.t("elsewhere.text")), alert, notMe];
}

/** @param {App} app @param {Cell} cell */
const lockOffer = (app, cell) => [
  h("p", null, app.words.t("freeze.offer")),
  h("a", { class: "button quiet bad", href: `#/freeze/${cell.id}` }, app.words.t("freeze.title")),
];
