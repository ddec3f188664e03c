// The phones of a cell: which they are, and how one is removed.
// @ts-check

import { PhoneCalls } from "../api.js";
import { h, icon } from "../dom.js";
import * as store from "../store.js";
import { alertLine, cellLine, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../api.js").Device} Device */

/** @type {import("../app.js").Screen} */
export async function phones(app, [id, kid], signal) {
  const { t } = app.words;
  const cell = app.cells.find((known) => known.id === id);
  if (!cell) return { element: screen(t("phones.title"), { id: "phones" }) };
  if (kid === "add") {
    const { addPhone } = await import("./further_scan.js");
    return { element: addPhone(app, cell, signal) };
  }
  const calls = new PhoneCalls(app.profile, cell.keys.request);
  const devices = await calls.devices();
  const device = devices.find((known) => known.kid === kid);
  return {
    tab: "settings",
    element: device ? removal(app, cell, calls, device) : all(app, id, devices),
  };
}

/** @param {App} app @param {Device} device */
function name(app, device) {
  const { t } = app.words;
  const called = `${t(`device.${device.kind}`)} ${device.kid.slice(0, 4)}`;
  return device.this ? `${called} (${t("phones.this")})` : called;
}

/** @param {App} app @param {string} id @param {Device[]} devices */
function all(app, id, devices) {
  const { t, moment } = app.words;
  return screen(
    t("phones.title"),
    { id: "phones", back: "#/settings", backWord: t("tab.settings") },
    cellLine(app, id),
    h(
      "ul",
      { class: "list", "data-testid": "phones" },
      devices.map((device) =>
        h(
          "li",
          { class: "item" },
          icon("phone"),
          h(
            "span",
            { class: "grow" },
            h("strong", null, name(app, device)),
            h(
              "span",
              { class: "small" },
              device.removal_asked
                ? t("phones.going")
                : t("phones.since", { moment: moment(Date.parse(device.paired_at) / 1000) }),
            ),
          ),
          !device.removal_asked &&
            h(
              "a",
              {
                class: "link",
                href: `#/phones/${id}/${device.kid}`,
                "data-testid": device.this ? "remove-this" : "remove",
              },
              t("phones.remove"),
            ),
        ),
      ),
    ),
    h(
      "a",
      { class: "button quiet", href: `#/phones/${id}/add`, "data-testid": "add-phone" },
      t("phones.add"),
    ),
  );
}

/**
 * @param {App} app
 * @param {import("../store.js").Cell} cell
 * @param {PhoneCalls} calls
 * @param {Device} device
 */
function removal(app, cell, calls, device) {
  const { t } = app.words;
  const alert = alertLine();
  const remove = working(
    app,
    { word: "phones.remove.yes", id: "remove-yes", bad: true, alert },
    async () => {
      await calls.removeDevice(device.kid);
      if (device.this) await store.forgetCell(cell.id);
      await app.reload();
      app.go(device.this ? "/" : `/phones/${cell.id}`);
    },
  );
  return screen(
    t("phones.remove.title"),
    { id: "remove-phone", back: `#/phones/${cell.id}`, backWord: t("phones.title") },
    cellLine(app, cell.id),
    h("p", null, h("strong", null, name(app, device))),
    h("p", null, t(device.this ? "phones.remove.this" : "phones.remove.text")),
    alert,
    remove,
    h("a", { class: "button quiet", href: `#/phones/${cell.id}` }, t("cancel")),
  );
}
