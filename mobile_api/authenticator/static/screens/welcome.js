// Before anything is paired: what this is, how it is installed, where to begin.
// @ts-check

import { h, icon } from "../dom.js";
import { isInstalled } from "../worker.js";
import { languages } from "./language.js";
import { screen } from "./parts.js";

/** @type {import("../app.js").Screen} */
export function welcome(app) {
  const { t } = app.words;
  return {
    live: true, // The browser's own prompt to install may come later.
    element: screen(
      t("welcome.title"),
      { id: "welcome" },
      h("p", { class: "lead" }, t("welcome.text", { ca: app.profile.ca })),
      h("p", null, t("welcome.envelope")),
      h("a", { class: "button", href: "#/pair", "data-testid": "pair" }, t("welcome.pair")),
      h(
        "a",
        { class: "button quiet", href: "#/pair/further", "data-testid": "pair-further" },
        t("welcome.further"),
      ),
      !isInstalled() && advice(app),
      languages(app),
    ),
  };
}

/** @param {import("../app.js").App} app */
function advice(app) {
  const { t } = app.words;
  const { install: prompt } = app;
  const button =
    prompt &&
    h(
      "button",
      { class: "button quiet", "data-testid": "install", on: { click: prompt } },
      t("install.now"),
    );
  return h(
    "aside",
    { class: "card" },
    h("h2", null, t("install.title")),
    h("p", null, t(prompt ? "install.why" : "install.browser")),
    button,
  );
}

/** @type {import("../app.js").Screen} */
export function install(app) {
  const { t } = app.words;
  return {
    element: screen(
      t("install.title"),
      { id: "install" },
      h("p", { class: "lead" }, t("install.ios", { ca: app.profile.ca })),
      h(
        "ol",
        { class: "steps" },
        h("li", null, t("install.ios.share")),
        h("li", null, t("install.ios.add")),
        h("li", null, t("install.ios.open")),
      ),
      h("p", { class: "hint" }, icon("alert"), t("install.ios.why")),
      languages(app),
    ),
  };
}
