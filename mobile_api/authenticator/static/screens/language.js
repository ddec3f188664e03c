// The choice of language; each is called by its own name.
// @ts-check

import { h } from "../dom.js";
import { LANGUAGES } from "../words.js";

/** @type {Record<string, string>} */
const NAMES = { ru: "Русский", en: "English" };

/** @param {import("../app.js").App} app */
export const languages = (app) =>
  h(
    "div",
    { class: "languages", role: "group", "aria-label": app.words.t("language") },
    LANGUAGES.map((lang) =>
      h(
        "button",
        {
          class: "link",
          lang,
          "data-testid": `lang-${lang}`,
          "aria-pressed": String(lang === app.words.lang),
          on: { click: () => app.speak(lang) },
        },
        NAMES[lang],
      ),
    ),
  );
