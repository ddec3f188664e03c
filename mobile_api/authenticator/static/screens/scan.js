// A camera with a way beside it for those who have none.
// @ts-check

import { h } from "../dom.js";
import { CannotAnswer } from "../errors.js";
import { scan } from "../scanner.js";
import { alertLine, working } from "./parts.js";

/**
 * A button that opens the camera.
 * @param {import("../app.js").App} app
 * @param {{ word: string, accept: (text: string) => boolean, found: (text: string) => unknown,
 *   signal: AbortSignal }} how
 */
export function scanButton(app, { word, accept, found, signal }) {
  const place = h("div", { class: "camera" });
  const alert = alertLine();
  const seen = (/** @type {string} */ text) => {
    if (accept(text)) return true;
    alert.textContent = app.explain(new CannotAnswer("error.another-code"));
    return false;
  };
  const button = working(app, { word, id: "scan", alert }, async () => {
    const text = await scan(place, { label: app.words.t("camera"), accept: seen, signal });
    if (text !== null) await found(text);
  });
  return h("div", { class: "scan" }, place, alert, button);
}
