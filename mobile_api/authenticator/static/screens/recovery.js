// The recovery code: shown once, written down, and checked by three of its groups; then it is
// forgotten here. The service has its lock and never the code.
// @ts-check

import { h, icon } from "../dom.js";
import { CannotAnswer } from "../errors.js";
import { random, rawUuid } from "../protocol/bytes.js";
import { bare, inGroups } from "../protocol/codes.js";
import { makeNewRecovery, uploadRecoveryLock } from "../recovering.js";
import * as store from "../store.js";
import { readCode, unlockKey } from "../unlocking.js";
import { alertLine, cellLine, field, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Cell} Cell */

const GROUP = 5;
const ASKED = 3;

/**
 * The code while it is shown, in this page alone.
 * @type {{ cell: string, groups: string[] } | null}
 */
let shown = null;

/** @type {import("../app.js").Screen} */
export async function recovery(app, [id, step]) {
  const { t } = app.words;
  const cell = app.cells.find((known) => known.id === id);
  if (!cell) return { element: screen(t("recovery.title"), { id: "recovery" }) };
  if (shown?.cell === id && step === "shown")
    return { element: codeScreen(app, cell, shown.groups) };
  if (shown?.cell === id && step === "check")
    return { element: checkScreen(app, cell, shown.groups) };
  shown = null;
  return {
    tab: "settings",
    element: cell.recovery?.code ? revealScreen(app, cell) : newScreen(app, cell),
  };
}

/** @param {App} app @param {Cell} cell */
const opened = (app, cell) =>
  unlockKey(cell.keys, {
    rpId: app.profile.rp_id,
    cell: cell.id,
    challenge: random(32),
    by: cell.recovery?.by ?? cell.keys.passkey,
  });

/** @param {App} app @param {Cell} cell */
function revealScreen(app, cell) {
  const { t } = app.words;
  const alert = alertLine();
  const reveal = working(app, { word: "recovery.show", id: "recovery-show", alert }, async () => {
    await uploadRecoveryLock(app.profile, cell.id);
    const { code } = await opened(app, cell);
    await show(app, cell, code);
  });
  const later = h(
    "a",
    { class: "button quiet", href: "#/", "data-testid": "recovery-later" },
    t("recovery.later"),
  );
  return screen(
    t("recovery.title"),
    { id: "recovery", back: "#/settings", backWord: t("tab.settings") },
    cellLine(app, cell.id),
    h("p", null, t("recovery.text")),
    h("p", null, t("recovery.paper")),
    alert,
    reveal,
    later,
  );
}

/** @param {App} app @param {Cell} cell @param {CryptoKey} key */
async function show(app, cell, key) {
  const known = (await store.cells()).find((other) => other.id === cell.id);
  if (!known?.recovery?.code) throw new CannotAnswer("error.over");
  const code = await readCode(known.recovery.code, key, rawUuid(cell.id));
  shown = { cell: cell.id, groups: inGroups(code, GROUP).split("-") };
  app.go(`/recovery/${cell.id}/shown`);
}

/** @param {App} app @param {Cell} cell */
function newScreen(app, cell) {
  const { t } = app.words;
  const alert = alertLine();
  const make = working(
    app,
    { word: "recovery.make", id: "recovery-make", quiet: true, alert },
    async () => {
      const key = await makeNewRecovery(app.profile, cell);
      await app.reload();
      await show(app, cell, key);
    },
  );
  const saved = Boolean(cell.recovery);
  return screen(
    t("recovery.title"),
    { id: "recovery-new", back: "#/settings", backWord: t("tab.settings") },
    cellLine(app, cell.id),
    h("p", { "data-testid": "recovery-saved" }, t(saved ? "recovery.saved" : "recovery.none")),
    h("p", null, t("recovery.new")),
    alert,
    make,
  );
}

/** @param {App} app @param {Cell} cell @param {string[]} groups */
function codeScreen(app, cell, groups) {
  const { t } = app.words;
  return screen(
    t("recovery.code.title"),
    { id: "recovery-code" },
    cellLine(app, cell.id),
    h("p", null, t("recovery.write")),
    h(
      "ol",
      { class: "groups", "data-testid": "recovery-code" },
      groups.map((group) => h("li", null, h("code", null, group))),
    ),
    h("p", { class: "notice" }, icon("alert"), t("recovery.once")),
    h(
      "a",
      { class: "button", href: `#/recovery/${cell.id}/check`, "data-testid": "recovery-written" },
      t("recovery.written"),
    ),
  );
}

/** Three groups of the code, chosen anew each time. @param {number} count @returns {number[]} */
function chosen(count) {
  const places = Array.from({ length: count }, (_, at) => at);
  const order = new Map(places.map((place) => [place, random(1)[0]]));
  return places
    .sort((one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0))
    .slice(0, ASKED)
    .sort((one, other) => one - other);
}

/** @param {App} app @param {Cell} cell @param {string[]} groups */
function checkScreen(app, cell, groups) {
  const { t } = app.words;
  const alert = alertLine();
  const whole = groups.filter((group) => group.length === GROUP).length;
  const asked = chosen(whole).map((place) => ({
    place,
    ...field(app, {
      name: `group-${place + 1}`,
      label: `recovery.group`,
      attributes: {
        autocomplete: "off",
        autocapitalize: "characters",
        spellcheck: "false",
        maxlength: 7,
        class: "code",
        "data-place": place + 1,
      },
    }),
  }));
  for (const { place, element } of asked) {
    const label = element.querySelector("label");
    if (label) label.textContent = t("recovery.group", { n: place + 1 });
  }
  const check = working(
    app,
    { word: "recovery.check", id: "recovery-check", alert, submit: true },
    async () => {
      if (!asked.every(({ place, input }) => bare(input.value) === groups[place]))
        throw new CannotAnswer("error.groups");
      const known = (await store.cells()).find((other) => other.id === cell.id);
      if (known?.recovery)
        await store.changeCell(cell.id, { recovery: { ...known.recovery, code: null } });
      shown = null;
      await app.reload();
      app.go(`/done/saved/-/${cell.id}`);
    },
  );
  const submit = (/** @type {Event} */ event) => (event.preventDefault(), check.run());
  return screen(
    t("recovery.check.title"),
    {
      id: "recovery-check",
      back: `#/recovery/${cell.id}/shown`,
      backWord: t("recovery.look-again"),
    },
    cellLine(app, cell.id),
    h("p", null, t("recovery.check.text")),
    h(
      "form",
      { novalidate: true, on: { submit } },
      asked.map(({ element }) => element),
      alert,
      check,
    ),
  );
}
