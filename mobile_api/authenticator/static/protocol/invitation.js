// QR 2 of the envelope (section 5): the secret, and for an existing cell the thumbprint of KS.
// @ts-check

import { CannotAnswer } from "../errors.js";
import { unb64u } from "./bytes.js";
import { secretOf } from "./codes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{ secret: Bytes, pin: Bytes | null }} Envelope */

const PAIR = "cellkey:pair?";

/** Scanned or typed. @param {string} given @returns {Envelope} */
export function readEnvelope(given) {
  const trimmed = given.trim();
  if (!trimmed.startsWith(PAIR)) return { secret: secretOf(trimmed), pin: null };
  const members = new URLSearchParams(trimmed.slice(PAIR.length));
  const names = [...members.keys()];
  const known = names.every((name) => name === "s" || name === "k");
  if (!known || new Set(names).size !== names.length || !members.has("s")) {
    throw new CannotAnswer("error.not-the-envelope");
  }
  const pin = members.get("k");
  return {
    secret: secretOf(members.get("s") ?? ""),
    pin: pin === null ? null : unb64u(pin, 32),
  };
}

/** Whether a scanned text can be QR 2 at all. @param {string} scanned */
export const isEnvelope = (scanned) => scanned.trim().startsWith(PAIR);
