// The security keys of this phone: two steps to add one, so that it is clear which device asks.
// @ts-check

import { h, icon } from "../dom.js";
import {
  addSecurityKey,
  makeSecurityKey,
  removeSecurityKey,
  securityKeys,
} from "../security_keys.js";
import * as store from "../store.js";
import { alertLine, cellLine, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Cell} Cell */

/**
 * A security key between the two steps, in this page alone.
 * @type {{ cell: string, made: import("../security_keys.js").NewKey } | null}
 */
let between = null;

/** @type {import("../app.js").Screen} */
export async function keys(app, [id, step]) {
  const { t } = app.words;
  const cell = app.cells.find((known) => known.id === id);
  if (!cell) return { element: screen(t("keys.title"), { id: "keys" }) };
  if (step === "confirm" && between?.cell === id) {
    return { tab: "settings", element: confirmation(app, cell, between.made) };
  }
  between = null;
  const known = await securityKeys(app.profile, cell);
  return { tab: "settings", element: all(app, cell, known) };
}

/** @param {App} app @param {Cell} cell @param {{ id: string, addedAt: number | null }[]} known */
function all(app, cell, known) {
  const { t, moment } = app.words;
  const alert = alertLine();
  const add = working(app, { word: "keys.add", id: "add-key", quiet: true, alert }, async () => {
    between = { cell: cell.id, made: await makeSecurityKey(app.profile, cell) };
    app.go(`/keys/${cell.id}/confirm`);
  });
  return screen(
    t("keys.title"),
    { id: "keys", back: "#/settings", backWord: t("tab.settings") },
    cellLine(app, cell.id),
    h("p", null, t(known.length ? "keys.text" : "keys.none")),
    alert,
    known.length > 0 &&
      h(
        "ul",
        { class: "list", "data-testid": "keys" },
        known.map(({ id, addedAt }) =>
          h(
            "li",
            { class: "item" },
            icon("key"),
            h(
              "span",
              { class: "grow" },
              h("strong", null, `${t("keys.one")} ${id.slice(0, 4)}`),
              addedAt !== null &&
                h("span", { class: "small" }, t("keys.since", { moment: moment(addedAt) })),
            ),
            working(
              app,
              { word: "keys.remove", id: "remove-key", quiet: true, alert },
              async () => {
                await removeSecurityKey(app.profile, cell, id);
                await app.reload();
              },
            ),
          ),
        ),
      ),
    add,
  );
}

/** @param {App} app @param {Cell} cell @param {import("../security_keys.js").NewKey} made */
function confirmation(app, cell, made) {
  const { t } = app.words;
  const alert = alertLine();
  const confirm = working(app, { word: "keys.confirm", id: "confirm-key", alert }, async () => {
    await addSecurityKey(app.profile, cell, made);
    between = null;
    app.cells = await store.cells();
    app.go(`/keys/${cell.id}`);
  });
  return screen(
    t("keys.confirm.title"),
    { id: "confirm-key", back: `#/keys/${cell.id}`, backWord: t("keys.title") },
    cellLine(app, cell.id),
    h("p", null, t("keys.confirm.text")),
    alert,
    confirm,
  );
}
