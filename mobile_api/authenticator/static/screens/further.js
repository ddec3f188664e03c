// A further phone: this one shows its keys as a QR code, a paired one scans it from this screen.
// @ts-check

import { CannotAnswer } from "../errors.js";

/** @type {import("../app.js").Screen} */
export const further = () => {
  throw new CannotAnswer("error.not-yet");
};

/** @param {import("../app.js").App} _app @param {import("../store.js").Cell} _cell @param {AbortSignal} _signal @returns {HTMLElement} */
export const addPhone = (_app, _cell, _signal) => {
  throw new CannotAnswer("error.not-yet");
};
