// Pairing, step by step (design, 8): the envelope's code, login and passwords, the passkey, the
// code from the SMS or the operator's word. What was typed is kept in this page alone, and only
// until then.
// @ts-check

import { h, outside } from "../dom.js";
import { CannotAnswer } from "../errors.js";
import * as dialogue from "../pairing.js";
import { hasPasskeys } from "../passkey.js";
import { CHARACTERS, bare, secretOf } from "../protocol/codes.js";
import { isEnvelope, readEnvelope } from "../protocol/invitation.js";
import * as store from "../store.js";
import { confirmation } from "./confirmation.js";
import { alertLine, field, passwordField, screen, stepTitle, working } from "./parts.js";
import { scanButton } from "./scan.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../app.js").Drawn} Drawn */
/** @typedef {import("../protocol/invitation.js").Envelope} Envelope */
/**
 * @typedef {{ envelope?: Envelope, login?: string, password?: string, opened?:
 *   import("../pairing.js").Opened }} Draft
 */

/** @type {Draft} */
let draft = {};

/** @type {import("../app.js").Screen} */
export async function pair(app, [step], signal) {
  if (!hasPasskeys()) throw new CannotAnswer("error.no-passkeys");
  if (step === "further") {
    const { further } = await import("./further.js");
    return further(app, [], signal);
  }
  const begun = await store.pairing();
  if (begun && step === "confirm")
    return {
      element: await confirmation(app, begun, {
        signal,
        password: draft.password,
        paired: () => paired(app),
      }),
    };
  if (draft.opened && step === "passkey") return { element: passkey(app) };
  if (draft.envelope && step === "password") return { element: password(app) };
  return { element: code(app, begun, signal) };
}

// --- 1: the envelope's code ---------------------------------------------------------

/**
 * @param {App} app
 * @param {import("../store.js").Pairing | undefined} begun
 * @param {AbortSignal} signal
 */
function code(app, begun, signal) {
  const { t } = app.words;
  const alert = alertLine();
  const typed = field(app, {
    name: "envelope-code",
    label: "pair.type",
    hint: "pair.type.hint",
    attributes: {
      autocomplete: "off",
      autocapitalize: "characters",
      spellcheck: "false",
      maxlength: 60,
      class: "code",
    },
  });
  typed.input.addEventListener("input", () => {
    const left = CHARACTERS - bare(typed.input.value).length;
    typed.input.setAttribute("aria-invalid", String(left < 0));
  });
  const take = (/** @type {string} */ text) => {
    draft = { envelope: readEnvelope(text) };
    app.go("/pair/password");
  };
  const next = working(
    app,
    { word: "next", id: "next", alert, submit: true, quiet: true },
    async () => take(typed.input.value),
  );
  const submit = (/** @type {Event} */ event) => (event.preventDefault(), next.run());
  return screen(
    t("pair.code.title"),
    { id: "pair-code", back: "#/", backWord: t("back") },
    stepTitle(app, 1, "pair.code.title"),
    begun &&
      h(
        "p",
        { class: "notice" },
        t("pair.begun"),
        " ",
        h("a", { href: "#/pair/confirm", "data-testid": "resume" }, t("pair.resume")),
      ),
    h("p", null, t("pair.code.text")),
    scanButton(app, { word: "scan", accept: isEnvelope, found: take, signal }),
    h("form", { novalidate: true, on: { submit } }, typed.element, alert, next),
  );
}

// --- 2: login and passwords ---------------------------------------------------------

/** @param {App} app */
function password(app) {
  const { t } = app.words;
  const { envelope } = draft;
  const existing = Boolean(envelope?.pin);
  const alert = alertLine();
  const plain = { autocapitalize: "off", spellcheck: "false", required: true };
  const login = field(app, {
    name: "login",
    label: "login",
    attributes: { ...plain, autocomplete: "username", value: draft.login ?? "" },
  });
  const present = passwordField(app, {
    name: "password",
    label: existing ? "password.yours" : "password.first",
    hint: existing ? undefined : "password.first.hint",
    attributes: { autocomplete: "current-password", required: true },
  });
  const chosen = passwordField(app, {
    name: "new-password",
    label: existing ? "password.new-if-reset" : "password.new",
    hint: "password.new.hint",
    attributes: { autocomplete: "new-password", required: !existing },
  });
  const recovery = field(app, {
    name: "recovery-code",
    label: "recovery.type",
    hint: "recovery.type.hint",
    attributes: {
      autocomplete: "off",
      autocapitalize: "characters",
      spellcheck: "false",
      class: "code",
    },
  });
  const next = working(app, { word: "next", id: "next", alert, submit: true }, async () => {
    if (!envelope || !login.input.value || !present.input.value)
      throw new CannotAnswer("error.fill-in");
    if (!existing && !chosen.input.value) throw new CannotAnswer("error.fill-in");
    const typed = recovery.input.value.trim();
    draft.login = login.input.value.trim();
    if (existing) draft.password = chosen.input.value || present.input.value;
    const opened = await dialogue.beginPairing(app.profile, {
      envelope,
      login: draft.login,
      password: present.input.value,
      newPassword: chosen.input.value,
      ...(existing && typed && { recoveryCode: secretOf(typed) }),
    });
    if (opened) {
      draft.opened = opened;
      app.go("/pair/passkey");
    } else await afterEnrolment(app);
  });
  const submit = (/** @type {Event} */ event) => (event.preventDefault(), next.run());
  return screen(
    t("pair.password.title"),
    { id: "pair-password", back: "#/pair", backWord: t("back") },
    stepTitle(app, 2, "pair.password.title"),
    h("p", null, t(existing ? "pair.password.again" : "pair.password.text")),
    h(
      "form",
      { novalidate: true, on: { submit } },
      login.element,
      present.element,
      chosen.element,
      existing && recovery.element,
      alert,
      next,
    ),
  );
}

// --- 3: the passkey -------------------------------------------------------------------

/** @param {App} app */
function passkey(app) {
  const { t } = app.words;
  const { opened, login = "" } = draft;
  const alert = alertLine();
  const make = working(app, { word: "pair.passkey.make", id: "make-passkey", alert }, async () => {
    if (!opened) throw new CannotAnswer("error.pairing-late");
    const fresh = opened.cellSecret && { ...opened, cellSecret: opened.cellSecret.slice() };
    await dialogue.enrol(app.profile, fresh ?? opened, { login });
    opened.cellSecret?.fill(0);
    await afterEnrolment(app);
  });
  return screen(
    t("pair.passkey.title"),
    { id: "pair-passkey", back: "#/pair/password", backWord: t("back") },
    stepTitle(app, 3, "pair.passkey.title"),
    opened &&
      h(
        "div",
        { class: "card ask" },
        opened.checked.ask.text.lines.map((line) => h("p", { class: "line" }, outside(line))),
      ),
    h("p", null, t("pair.passkey.text")),
    alert,
    make,
  );
}

/** @param {App} app */
async function afterEnrolment(app) {
  const { password: kept, opened } = draft;
  draft = opened && opened.cellSecret === null ? { password: kept } : {};
  if (await store.pairing()) app.go("/pair/confirm");
  else await paired(app);
}

/** @param {App} app */
async function paired(app) {
  draft = {};
  app.cells = await store.cells();
  await app.reload();
  app.wake();
  app.go("/");
}
