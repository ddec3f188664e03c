// What stands round every screen: tabs below, notices above.
// @ts-check

import { h, icon } from "./dom.js";

/** @typedef {import("./app.js").App} App */

const TABS = [
  { name: "requests", href: "#/", picture: "requests" },
  { name: "history", href: "#/history", picture: "history" },
  { name: "settings", href: "#/settings", picture: "more" },
];

let current = /** @type {string | null} */ (null);

/** How many requests wait. @param {App} app */
const waiting = (app) =>
  [...app.pending.values()].reduce((sum, { transactions }) => sum + transactions.length, 0);

/** @param {App} app @param {string | null} [tab] the tab that the screen belongs to */
export function drawTabs(app, tab = current) {
  current = tab;
  const nav = /** @type {HTMLElement} */ (document.getElementById("tabs"));
  const { t } = app.words;
  nav.hidden = tab === null || app.cells.length === 0;
  nav.setAttribute("aria-label", t("tabs"));
  const count = waiting(app);
  nav.replaceChildren(
    ...TABS.map(({ name, href, picture }) =>
      h(
        "a",
        { href, "data-testid": `tab-${name}`, "aria-current": name === tab ? "page" : false },
        icon(picture),
        h("span", null, t(`tab.${name}`)),
        name === "requests" &&
          count > 0 &&
          h(
            "span",
            { class: "count" },
            count,
            h("span", { class: "unseen" }, ` ${t("waiting", { n: count })}`),
          ),
      ),
    ),
  );
}

/** @param {App} app */
export function drawNotices(app) {
  const { t } = app.words;
  const { offline, update, refused } = app.status;
  const notices = /** @type {HTMLElement} */ (document.getElementById("notices"));
  const gone = app.cells.filter((cell) => refused.has(cell.id));
  const wanted = [
    offline && h("p", { class: "notice", "data-testid": "offline" }, t("offline")),
    ...gone.map((cell) =>
      h(
        "p",
        {
          class: "notice bad",
          "data-testid": refused.get(cell.id) === "frozen" ? "frozen" : "removed",
        },
        t(refused.get(cell.id) === "frozen" ? "problem.frozen" : "removed", { cell: cell.name }),
      ),
    ),
    update &&
      h(
        "p",
        { class: "notice" },
        t("update.ready"),
        " ",
        h(
          "button",
          {
            class: "link",
            "data-testid": "update",
            on: { click: () => update.postMessage("take over") },
          },
          t("update.now"),
        ),
      ),
  ].filter((notice) => notice instanceof Node);
  notices.replaceChildren(...wanted);
}
