// What waits for an answer, of every cell, the oldest first.
// @ts-check

import { h, icon } from "../dom.js";
import { askToNotify, pushState } from "../push.js";
import { cellLine, cellName, screen } from "./parts.js";

/** @typedef {import("../app.js").App} App */

/** @type {import("../app.js").Screen} */
export function requests(app) {
  const { t } = app.words;
  const waiting = app.cells.flatMap((cell) =>
    (app.pending.get(cell.id)?.transactions ?? []).map((transaction) => ({ cell, ...transaction })),
  );
  const known = app.cells.every((cell) => app.pending.has(cell.id));
  const only = app.cells.length === 1 ? app.cells[0] : null;
  return {
    tab: "requests",
    live: true,
    element: screen(
      t("requests.title"),
      { id: "requests" },
      only && h("p", { class: "cell", "data-testid": "cell" }, icon("key"), cellName(app, only.id)),
      waiting.length > 0
        ? h(
            "ul",
            { class: "list", "data-testid": "requests" },
            waiting.map(({ cell, id, kind, expires_at: expiresAt }) =>
              h(
                "li",
                null,
                h(
                  "a",
                  { href: `#/tx/${id}/${cell.id}`, "data-testid": "request" },
                  icon(kind === "enrol" ? "phone" : "document"),
                  h(
                    "span",
                    { class: "grow" },
                    h("strong", null, t(`kind.${kind}`)),
                    h(
                      "span",
                      { class: "small" },
                      !only && `${cellName(app, cell.id)} · `,
                      t("until", { moment: app.words.moment(Date.parse(expiresAt) / 1000) }),
                    ),
                  ),
                ),
              ),
            ),
          )
        : h(
            "div",
            { class: "empty", "data-testid": "no-requests" },
            icon("requests"),
            h("p", null, t(known ? "requests.none" : "requests.loading")),
            known && h("p", { class: "hint" }, t("requests.none.hint")),
          ),
      reminders(app),
    ),
  };
}

/** What should still be done, gently. @param {App} app */
function reminders(app) {
  const { t } = app.words;
  const cards = [];
  if (pushState() === "off") {
    const allow = h("button", { class: "button quiet", "data-testid": "notify" }, t("push.allow"));
    allow.addEventListener("click", async () => {
      if (await askToNotify()) await app.wake();
      await app.reload();
    });
    cards.push(
      h(
        "aside",
        { class: "card" },
        h("h2", null, icon("bell"), t("push.title")),
        h("p", null, t("push.text")),
        allow,
      ),
    );
  } else if (pushState() !== "on") {
    cards.push(
      h(
        "aside",
        { class: "card" },
        h("h2", null, icon("bell"), t("push.title")),
        h("p", null, t(`push.${pushState()}`)),
      ),
    );
  }
  for (const cell of app.cells) {
    if (!cell.recovery?.code || cell.hasSecond) continue;
    cards.push(
      h(
        "aside",
        { class: "card", "data-testid": "remind-recovery" },
        h("h2", null, icon("key"), t("recovery.remind")),
        app.cells.length > 1 && cellLine(app, cell.id),
        h("p", null, t("recovery.remind.text")),
        h("a", { class: "button quiet", href: `#/recovery/${cell.id}` }, t("recovery.save")),
        h("a", { class: "button quiet", href: `#/phones/${cell.id}/add` }, t("phones.add")),
      ),
    );
  }
  return cards;
}
