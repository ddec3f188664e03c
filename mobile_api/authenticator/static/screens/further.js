// This phone as a further one: it shows its keys as a QR code, waits to be scanned and approved.
// @ts-check

import { pause } from "../http.js";
import { h, svg } from "../dom.js";
import * as dialogue from "../further.js";
import * as store from "../store.js";
import { alertLine, screen, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../further.js").OpenKeys} OpenKeys */
/** @typedef {import("../protocol/asks.js").SignedAsk} SignedAsk */

const PAUSE_SECONDS = 2;

/** Made once for this page; a new page shows another code. @type {OpenKeys | null} */
let keys = null;

/** @type {import("../app.js").Screen} */
export async function further(app, _parts, signal) {
  const { t } = app.words;
  const begun = await store.further();
  keys ??= begun ? null : await dialogue.newKeys();
  const place = h("div");
  const status = h("p", { class: "hint", role: "status", "data-testid": "further-status" });
  const alert = alertLine();
  const shown =
    keys && !begun ? await qrCode(await dialogue.shownText(keys), t("further.qr")) : null;
  place.replaceChildren(
    ...(shown ? [h("p", null, t("further.text")), shown] : [h("p", null, t("further.waiting"))]),
  );
  wait(app, { place, status, alert, signal });
  const again = h("button", { class: "link", "data-testid": "further-again" }, t("further.again"));
  again.addEventListener("click", async () => {
    await store.forgetFurther();
    keys = null;
    app.go("/pair/further");
  });
  return {
    element: screen(
      t("further.title"),
      { id: "further", back: "#/", backWord: t("back") },
      place,
      status,
      alert,
      again,
    ),
  };
}

/**
 * Look every two seconds, and do what is next.
 * @param {App} app @param {{ place: HTMLElement, status: HTMLElement, alert: HTMLElement, signal:
 *   AbortSignal }} at
 */
async function wait(app, { place, status, alert, signal }) {
  const { t } = app.words;
  while (!signal.aborted) {
    await pause(PAUSE_SECONDS, signal);
    if (signal.aborted) return;
    try {
      const begun = await store.further();
      const request = begun?.keys.request ?? keys?.request;
      if (!request) return;
      const answer = await dialogue.look(app.profile, request);
      if (!answer) continue;
      if (answer.state === "over") {
        status.textContent = t("further.over");
        return;
      }
      if (!begun && keys) {
        offerPasskey(app, await dialogue.askFor(answer, keys), { place, alert });
        return;
      }
      if (begun && answer.state === "confirmed") {
        await finish(app, begun, answer, { place, alert });
        return;
      }
      status.textContent = t("further.waiting");
    } catch (error) {
      alert.textContent = app.explain(error);
    }
  }
}

/**
 * @param {App} app
 * @param {SignedAsk} signed
 * @param {{ place: HTMLElement, alert: HTMLElement }} at
 */
function offerPasskey(app, signed, { place, alert }) {
  const { t } = app.words;
  const make = working(app, { word: "pair.passkey.make", id: "make-passkey", alert }, async () => {
    if (keys) await dialogue.enrolFurther(app.profile, signed, keys);
    app.go("/pair/further");
  });
  place.replaceChildren(
    h("p", null, t("further.found")),
    h("p", null, t("pair.passkey.text")),
    make,
  );
  make.focus();
}

/**
 * @param {App} app
 * @param {store.Further} begun
 * @param {import("../api.js").FurtherAnswer} answer
 * @param {{ place: HTMLElement, alert: HTMLElement }} at
 */
async function finish(app, begun, answer, { place, alert }) {
  const { t } = app.words;
  const done = async () => {
    await dialogue.finishFurther(
      app.profile,
      begun,
      answer,
      begun.keys.software ?? keys?.unlock.privateKey ?? null,
    );
    keys = null;
    await app.reload();
    app.wake();
    app.go("/");
  };
  if (keys || begun.keys.software) return done();
  place.replaceChildren(
    h("p", null, t("further.finish")),
    working(app, { word: "next", id: "further-finish", alert }, done),
  );
}

/** @param {string} text @param {string} label */
async function qrCode(text, label) {
  const { encodeQR } = await import("../vendor/qr.js");
  const rows = encodeQR(text, "raw", { ecc: "medium", border: 4 });
  const size = rows.length;
  const d = rows
    .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
  return h(
    "div",
    { class: "qr", "data-testid": "further-qr", "data-text": text },
    svg(
      "svg",
      {
        viewBox: `0 0 ${size} ${size}`,
        role: "img",
        "aria-label": label,
        "shape-rendering": "crispEdges",
      },
      svg("path", { d, fill: "#000" }),
    ),
  );
}
