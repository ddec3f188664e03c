// Every screen by the first part of its path. Those that few need are loaded when they are shown.
// @ts-check

import { requests } from "./screens/requests.js";
import { answered, request } from "./screens/request.js";
import { install, welcome } from "./screens/welcome.js";

/** @typedef {import("./app.js").Screen} Screen */

/** @param {() => Promise<Record<string, Screen>>} module @param {string} name @returns {Screen} */
const later = (module, name) => async (app, parts, signal) =>
  (await module())[name](app, parts, signal);

const pairing = () => import("./screens/pairing.js");
const history = () => import("./screens/history.js");
const settings = () => import("./screens/settings.js");
const phones = () => import("./screens/phones.js");
const recovery = () => import("./screens/recovery.js");
const securityKeys = () => import("./screens/security_keys.js");

/** @type {Record<string, Screen>} */
export const SCREENS = {
  install,
  welcome,
  requests,
  tx: request,
  done: answered,
  pair: later(pairing, "pair"),
  history: later(history, "history"),
  settings: later(settings, "settings"),
  stopped: later(settings, "stopped"),
  freeze: later(settings, "freeze"),
  phones: later(phones, "phones"),
  recovery: later(recovery, "recovery"),
  keys: later(securityKeys, "keys"),
};
