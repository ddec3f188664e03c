// The documents of an ask: how many of which kind, then each by name and hash. Many can be
// searched.
// @ts-check

import { h, outside, visible } from "../dom.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../protocol/documents.js").Item} Item */

const SEARCH_FROM = 8;
const SHOWN_FIRST = 10;
const SHOWN_AT_ONCE = 100;
const EXTENSION = /\.([A-Za-z0-9]{1,5})$/;

/**
 * What a name says of a document's kind: its ending, else what is signed of it.
 * @param {Item} item
 * @param {App} app
 */
const kindOf = ({ label, type }, app) =>
  EXTENSION.exec(label)?.[1].toUpperCase() ?? app.words.t(`item.${type}`);

/** @param {App} app @param {Item[]} items */
export function documentList(app, items) {
  const { t } = app.words;
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const item of items) {
    const kind = kindOf(item, app);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const list = h("ul", { class: "documents", "data-testid": "documents" });
  const more = h("button", { class: "button quiet", type: "button" }, t("documents.more"));
  let matching = items;
  let shown = 0;
  const showMore = () => {
    const next = matching.slice(shown, shown + (shown ? SHOWN_AT_ONCE : SHOWN_FIRST));
    list.append(...next.map((item) => row(app, item)));
    shown += next.length;
    more.hidden = shown >= matching.length;
  };
  const found = h("p", { class: "unseen", role: "status" });
  const search = (/** @type {string} */ wanted) => {
    matching = items.filter(
      ({ label, hash }) =>
        label.toLowerCase().includes(wanted.toLowerCase()) || hash.includes(wanted),
    );
    shown = 0;
    list.replaceChildren();
    showMore();
    found.textContent = t("documents.found", { n: matching.length });
  };
  more.addEventListener("click", showMore);
  showMore();
  return h(
    "section",
    { class: "card", "aria-labelledby": "documents-title" },
    h(
      "h2",
      { id: "documents-title", "data-testid": "document-count" },
      t("documents", { n: items.length }),
    ),
    (counts.size > 1 || items.some(({ label }) => EXTENSION.test(label))) &&
      h(
        "p",
        { class: "small kinds", "data-testid": "document-kinds" },
        [...counts].map(([kind, n], at) =>
          h("span", null, at > 0 && " · ", outside(kind), ` ${n}`),
        ),
      ),
    items.length >= SEARCH_FROM &&
      h("input", {
        type: "search",
        "aria-label": t("documents.search"),
        placeholder: t("documents.search"),
        "data-testid": "document-search",
        on: { input: (event) => search(event.target.value) },
      }),
    found,
    list,
    more,
  );
}

/** @param {App} app @param {Item} item */
const row = (app, { label, hash, document }) =>
  h(
    "li",
    null,
    h(
      "details",
      null,
      h("summary", null, outside(label), h("code", { class: "short" }, `${hash.slice(0, 8)}…`)),
      h("p", { class: "small" }, app.words.t("documents.hash"), h("code", null, visible(hash))),
      document &&
        h(
          "p",
          { class: "small" },
          app.words.t("documents.document"),
          h("code", null, visible(document)),
        ),
    ),
  );
