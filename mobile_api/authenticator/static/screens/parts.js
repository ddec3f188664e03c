// What screens are made of.
// @ts-check

import { h, icon, outside } from "../dom.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../dom.js").Child} Child */

/**
 * The cell that a screen is about: named plainly, with its number where two bear one name.
 * @param {App} app
 * @param {string} id
 */
export function cellName(app, id) {
  const cell = app.cells.find((known) => known.id === id);
  if (!cell) return "";
  const same = app.cells.filter((known) => known.name === cell.name);
  return same.length > 1 ? `${cell.name} (${same.indexOf(cell) + 1})` : cell.name;
}

/** @param {App} app @param {string} id */
export const cellLine = (app, id) =>
  h(
    "p",
    { class: "cell", "data-testid": "cell" },
    icon("key"),
    h("span", { class: "unseen" }, `${app.words.t("cell")}: `),
    outside(cellName(app, id)),
  );

/**
 * A whole screen.
 * @param {string} title @param {{ back?: string, backWord?: string, id: string, lang?: string }}
 *   how
 * @param {...(Child | Child[])} children
 */
export const screen = (title, { back, backWord, id, lang }, ...children) =>
  h(
    "section",
    { class: "screen", "data-screen": id },
    back !== undefined &&
      h("a", { class: "back", href: back, "data-testid": "back" }, icon("back"), backWord ?? ""),
    h("h1", { lang }, title),
    ...children,
  );

/** Where a form or button says what went wrong. */
export const alertLine = () => h("p", { class: "alert", role: "alert", "data-testid": "error" });

/**
 * A button that works on something: it cannot be pressed twice, and says what went wrong.
 * @param {App} app
 * @param {{ word: string, id: string, quiet?: boolean, bad?: boolean, submit?: boolean, alert:
 *   HTMLElement }} how
 * @param {() => Promise<unknown>} work
 */
export function working(app, { word, id, quiet, bad, submit, alert }, work) {
  const kind = [quiet && "quiet", bad && "bad"].filter(Boolean).join(" ");
  const button = h(
    "button",
    { class: `button ${kind}`, type: submit ? "submit" : "button", "data-testid": id },
    app.words.t(word),
  );
  const run = async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    alert.textContent = "";
    try {
      await work();
    } catch (error) {
      console.warn(error);
      alert.textContent = app.explain(error);
      alert.scrollIntoView({ block: "nearest" });
    } finally {
      button.removeAttribute("aria-busy");
    }
  };
  button.addEventListener("click", (event) => {
    if (submit) return;
    event.preventDefault();
    run();
  });
  return Object.assign(button, { run });
}

/**
 * A labelled field.
 * @param {App} app
 * @param {{ name: string, label: string, hint?: string, attributes?: import("../dom.js").Props }}
 *   how
 */
export function field(app, { name, label, hint, attributes = {} }) {
  const id = `field-${name}`;
  const input = h("input", {
    id,
    name,
    "data-testid": name,
    type: "text",
    ...(hint && { "aria-describedby": `${id}-hint` }),
    ...attributes,
  });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, app.words.t(label)),
    input,
    hint && h("p", { class: "hint", id: `${id}-hint` }, app.words.t(hint)),
  );
  return { element, input };
}

/**
 * A password field with a button that shows what was typed.
 * @param {App} app
 * @param {Parameters<typeof field>[1]} how
 */
export function passwordField(app, how) {
  const { element, input } = field(app, {
    ...how,
    attributes: { type: "password", autocapitalize: "off", spellcheck: "false", ...how.attributes },
  });
  const button = h(
    "button",
    { type: "button", class: "link reveal", "aria-pressed": "false", "aria-controls": input.id },
    app.words.t("show"),
  );
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.textContent = app.words.t(shown ? "show" : "hide");
  });
  input.after(button);
  return { element, input };
}

/** @param {App} app @param {number} n @param {string} word */
export const stepTitle = (app, n, word) =>
  h(
    "p",
    { class: "step" },
    app.words.t("step", { n, of: 4 }),
    h("span", { class: "unseen" }, `: ${app.words.t(word)}`),
  );
