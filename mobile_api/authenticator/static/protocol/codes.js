// 16 bytes as people write them: 26 Crockford characters (section 5). Case and hyphens do not
// count, look-alikes are read as what they look like.
// @ts-check

import { CannotAnswer } from "../errors.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 16;
export const CHARACTERS = 26;

/** @param {Bytes} secret 16 bytes @returns {string} */
export function secretText(secret) {
  let number = secret.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  let written = "";
  for (let place = 0; place < CHARACTERS; place += 1, number >>= 5n) {
    written = CROCKFORD[Number(number & 31n)] + written;
  }
  return written;
}

/** What counts of a typed code. @param {string} typed @returns {string} */
export const bare = (typed) =>
  typed.trim().toUpperCase().replaceAll(/[- ]/g, "").replaceAll(/[IL]/g, "1").replaceAll("O", "0");

/** The 16 bytes of 26 characters. @param {string} typed @returns {Bytes} */
export function secretOf(typed) {
  const characters = bare(typed);
  if (!/^[ -~]*$/.test(typed.trim()) || characters.length !== CHARACTERS) {
    throw new CannotAnswer("error.code-length");
  }
  let number = 0n;
  for (const character of characters) {
    const value = CROCKFORD.indexOf(character);
    if (value < 0) throw new CannotAnswer("error.code-character");
    number = (number << 5n) | BigInt(value);
  }
  if (number >> BigInt(8 * LENGTH)) throw new CannotAnswer("error.code-character");
  const secret = new Uint8Array(LENGTH);
  for (let at = LENGTH - 1; at >= 0; at -= 1, number >>= 8n) secret[at] = Number(number & 255n);
  return secret;
}

/** In groups joined by hyphens. @param {string} text @param {number} size @returns {string} */
export const inGroups = (text, size) =>
  (text.match(new RegExp(`.{1,${size}}`, "g")) ?? []).join("-");
