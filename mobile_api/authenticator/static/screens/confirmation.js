// The last step of pairing: the code from the SMS, or an operator's word for the 12 characters.
// @ts-check

import { h, icon, outside } from "../dom.js";
import { ServerRefused } from "../errors.js";
import { pause } from "../http.js";
import * as dialogue from "../pairing.js";
import { alertLine, field, passwordField, screen, stepTitle, working } from "./parts.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../store.js").Pairing} Pairing */
/**
 * @typedef {object} Going
 * @property {AbortSignal} signal
 * @property {string | undefined} password where it brings the cell's secret, and the page still has
 *   it
 * @property {() => Promise<void>} paired what follows
 */

const OPERATOR_PAUSE_SECONDS = 3;

/** @param {App} app @param {Pairing} begun @param {Going} going */
export async function confirmation(app, begun, going) {
  const { t } = app.words;
  const bySms = begun.confirmation.includes("sms");
  const byOperator = begun.confirmation.includes("operator");
  const twelve = await dialogue.twelveOf(begun);
  if (byOperator) waitForOperator(app, begun, going);
  return screen(
    t("pair.confirm.title"),
    { id: "pair-confirm", back: "#/pair", backWord: t("back") },
    stepTitle(app, 4, "pair.confirm.title"),
    h("p", { class: "cell", "data-testid": "cell" }, icon("key"), outside(begun.name)),
    h("p", null, t(bySms ? "pair.twelve.sms" : "pair.twelve.operator")),
    h("p", { class: "twelve", "data-testid": "twelve" }, twelve),
    byOperator && h("p", { class: "hint", role: "status" }, t("pair.operator.waiting")),
    bySms && smsForm(app, begun, going),
  );
}

/** @param {App} app @param {Pairing} begun @param {Going} going */
function smsForm(app, begun, going) {
  const { t } = app.words;
  const alert = alertLine();
  const status = h("p", { class: "hint", role: "status", "data-testid": "sms-status" });
  const typed = field(app, {
    name: "sms-code",
    label: "pair.sms.label",
    attributes: {
      inputmode: "numeric",
      autocomplete: "one-time-code",
      maxlength: 11,
      class: "digits",
      required: true,
    },
  });
  const send = async () => {
    await dialogue.handInAgain(app.profile);
    const left = await dialogue.sendCode(app.profile, begun);
    status.textContent = t("pair.sms.sent", { n: left });
  };
  const byPassword = begun.enrolment.sealed === null;
  const password =
    byPassword && !going.password
      ? passwordField(app, {
          name: "password",
          label: "password.yours",
          attributes: { autocomplete: "current-password" },
        })
      : null;
  const again = working(app, { word: "pair.sms.send", id: "send-code", alert, quiet: true }, send);
  const done = working(
    app,
    { word: "pair.sms.confirm", id: "confirm", alert, submit: true },
    async () => {
      const given = byPassword ? { password: going.password ?? password?.input.value ?? "" } : {};
      try {
        const confirmed = await dialogue.confirm(app.profile, begun, {
          code: typed.input.value,
          ...given,
        });
        if (confirmed) await going.paired();
      } catch (error) {
        if (!(error instanceof ServerRefused && error.problem === "not-confirmed")) throw error;
        status.textContent = t("pair.operator.too");
      }
    },
  );
  const submit = (/** @type {Event} */ event) => (event.preventDefault(), done.run());
  return h(
    "form",
    { novalidate: true, on: { submit } },
    again,
    status,
    typed.element,
    password?.element,
    alert,
    done,
  );
}

/**
 * Look again and again whether an operator has confirmed.
 * @param {App} app @param {Pairing} begun @param {Going} going
 */
async function waitForOperator(app, begun, { signal, paired }) {
  while (!signal.aborted) {
    await pause(OPERATOR_PAUSE_SECONDS, signal);
    const confirmed =
      !signal.aborted && (await dialogue.confirm(app.profile, begun).catch(() => false));
    if (confirmed) {
      await paired();
      return;
    }
  }
}
