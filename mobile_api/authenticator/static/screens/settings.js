// Everything that is not a request: the cells, language, notifications, the freeze, this version.
// @ts-check

import { PhoneCalls } from "../api.js";
import { h, icon, outside } from "../dom.js";
import { askToNotify, pushState } from "../push.js";
import { languages } from "./language.js";
import { alertLine, cellLine, cellName, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Cell} Cell */

/** @type {import("../app.js").Screen} */
export function settings(app) {
  const { t } = app.words;
  return {
    tab: "settings",
    element: screen(
      t("settings.title"),
      { id: "settings" },
      app.cells.map((cell) => cellCard(app, cell)),
      h("a", { class: "button quiet", href: "#/pair", "data-testid": "add-cell" }, t("cell.add")),
      notifications(app),
      h("section", { class: "card" }, h("h2", null, t("language")), languages(app)),
      h(
        "section",
        { class: "card" },
        h("h2", null, t("about")),
        h("p", { class: "small" }, t("about.text", { ca: app.profile.ca })),
        h("p", { class: "small" }, h("a", { href: "/hashes.txt" }, t("about.hashes"))),
      ),
    ),
  };
}

/** @param {App} app @param {Cell} cell */
function cellCard(app, cell) {
  const { t } = app.words;
  const link = (
    /** @type {string} */ path,
    /** @type {string} */ word,
    /** @type {string} */ picture,
  ) =>
    h(
      "li",
      null,
      h(
        "a",
        { href: `#/${path}/${cell.id}`, "data-testid": `to-${path}` },
        icon(picture),
        h("span", { class: "grow" }, t(word)),
      ),
    );
  return h(
    "section",
    { class: "card", "data-testid": "cell-card" },
    h("h2", null, icon("key"), outside(cellName(app, cell.id))),
    h("p", { class: "small" }, t("cell.paired", { moment: app.words.moment(cell.pairedAt) })),
    cell.keys.wrapped === null &&
      h("p", { class: "notice", "data-testid": "software" }, t("cell.software")),
    h(
      "ul",
      { class: "list plain" },
      link("phones", "phones.title", "phone"),
      link("recovery", "recovery.title", "key"),
      cell.keys.wrapped !== null && link("keys", "keys.title", "key"),
      link("stopped", "stopped.title", "no"),
      link("freeze", "freeze.title", "alert"),
    ),
  );
}

/** @param {App} app */
function notifications(app) {
  const { t } = app.words;
  const state = pushState();
  const allow = h("button", { class: "button quiet", "data-testid": "notify" }, t("push.allow"));
  allow.addEventListener("click", async () => {
    if (await askToNotify()) await app.wake();
    await app.reload();
  });
  return h(
    "section",
    { class: "card" },
    h("h2", null, icon("bell"), t("push.title")),
    h("p", { "data-testid": "push-state", "data-state": state }, t(`push.${state}`)),
    state === "off" && allow,
  );
}

/** Lock the signer's access. @type {import("../app.js").Screen} */
export function freeze(app, [id]) {
  const { t } = app.words;
  const cell = app.cells.find((known) => known.id === id);
  const alert = alertLine();
  const lock =
    cell &&
    working(app, { word: "freeze", id: "freeze", bad: true, alert }, async () => {
      await new PhoneCalls(app.profile, cell.keys.request).freeze();
      app.go(`/done/frozen/-/${id}`);
    });
  return {
    tab: "settings",
    element: screen(
      t("freeze.title"),
      { id: "freeze", back: "#/settings", backWord: t("tab.settings") },
      cellLine(app, id),
      h("p", null, t("freeze.text")),
      alert,
      lock,
    ),
  };
}

/** Whom the signer has stopped. @type {import("../app.js").Screen} */
export async function stopped(app, [id]) {
  const { t, moment } = app.words;
  const cell = app.cells.find((known) => known.id === id);
  const calls = cell && new PhoneCalls(app.profile, cell.keys.request);
  const parties = calls ? await calls.stopped() : [];
  const alert = alertLine();
  return {
    tab: "settings",
    element: screen(
      t("stopped.title"),
      { id: "stopped", back: "#/settings", backWord: t("tab.settings") },
      cellLine(app, id),
      h("p", null, t(parties.length ? "stopped.text" : "stopped.none")),
      alert,
      h(
        "ul",
        { class: "list", "data-testid": "stopped" },
        parties.map((party) =>
          h(
            "li",
            { class: "item" },
            h(
              "span",
              { class: "grow" },
              h("strong", null, outside(party.name)),
              h("span", { class: "small" }, moment(Date.parse(party.stopped_at) / 1000)),
            ),
            working(app, { word: "stopped.allow", id: "allow", quiet: true, alert }, async () => {
              await calls?.allow(party.id);
              await app.reload();
            }),
          ),
        ),
      ),
    ),
  };
}
