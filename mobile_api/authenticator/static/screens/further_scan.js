// The paired phone scans a further one, from its screen. What was scanned stays in this page alone.
// @ts-check

import { PhoneCalls } from "../api.js";
import { h } from "../dom.js";
import { readFurtherPhone } from "../protocol/answers.js";
import { b64u } from "../protocol/bytes.js";
import { cellLine, screen } from "./parts.js";
import { scanButton } from "./scan.js";

/** @typedef {import("../app.js").App} App */

/** What was scanned, by the transaction that asks for it. @type {Map<string, string>} */
const scanned = new Map();

/** @param {string} transaction */
export const scannedFor = (transaction) => scanned.get(transaction) ?? null;

/** @param {string} text */
const isFurther = (text) => readFurtherPhone(text) !== null;

/**
 * Add a phone: scan it, ask for it, go to that request.
 * @param {App} app
 * @param {import("../store.js").Cell} cell
 * @param {AbortSignal} signal
 */
export function addPhone(app, cell, signal) {
  const { t } = app.words;
  const found = async (/** @type {string} */ text) => {
    const all = /** @type {import("../protocol/bytes.js").Bytes} */ (readFurtherPhone(text));
    const [approval, request, unlock] = [0, 32, 64].map((at) => b64u(all.slice(at, at + 32)));
    const id = await new PhoneCalls(app.profile, cell.keys.request).askForFurther({
      approval,
      request,
      unlock,
    });
    scanned.set(id, text);
    app.go(`/tx/${id}/${cell.id}`);
  };
  return screen(
    t("phones.add"),
    { id: "add-phone", back: `#/phones/${cell.id}`, backWord: t("phones.title") },
    cellLine(app, cell.id),
    h("p", null, t("further.add.text")),
    scanButton(app, { word: "scan", accept: isFurther, found, signal }),
  );
}

/**
 * On the request's own page, where it was not scanned yet.
 * @param {App} app
 * @param {import("../transactions.js").Shown} shown
 * @param {AbortSignal} signal
 */
export function scanFurther(app, shown, signal) {
  const { t } = app.words;
  const status = h(
    "p",
    { class: "notice", role: "status", "data-testid": "scanned" },
    t(scannedFor(shown.id) ? "further.scanned" : "further.scan"),
  );
  if (scannedFor(shown.id)) return status;
  const found = (/** @type {string} */ text) => {
    scanned.set(shown.id, text);
    status.textContent = t("further.scanned");
  };
  return h(
    "div",
    null,
    status,
    scanButton(app, { word: "scan", accept: isFurther, found, signal }),
  );
}
