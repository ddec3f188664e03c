// JSON that can be read in one way only (section 1), and values that have exactly their members.
// @ts-check

import { MessageRefused } from "../errors.js";

const DEEPEST = 16;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;
const WHOLE = /^(?:0|-?[1-9][0-9]*)$/;
const LONGEST_NUMBER = 16;

/** @typedef {(value: unknown) => boolean} Check */

/**
 * Parse; no duplicate members, whole numbers only, no lone surrogates, at most 16 levels.
 * @param {string} unverified @returns {unknown}
 */
export function strictJson(unverified) {
  if (unverified.startsWith("\ufeff")) throw new MessageRefused("a message has a byte order mark");
  let value;
  try {
    value = JSON.parse(unverified);
  } catch {
    throw new MessageRefused("a message is not JSON");
  }
  refuseTwoWays(unverified);
  return value;
}

/**
 * Parse into a value that has its form.
 * @param {string} unverified @param {Check} form @param {string} what
 * @returns {any}
 */
export function readJson(unverified, form, what) {
  const value = strictJson(unverified);
  if (!form(value)) throw new MessageRefused(`${what} has not its form`);
  return value;
}

/** What JSON.parse lets pass; `text` is JSON already. @param {string} json */
function refuseTwoWays(json) {
  /** @type {(Set<string> | null)[]} */
  const open = [];
  const tokens = json.match(TOKEN) ?? [];
  tokens.forEach((token, at) => {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : null);
      if (open.length > DEEPEST)
        throw new MessageRefused(`a message has more than ${DEEPEST} levels`);
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (token.startsWith('"')) {
      const written = /** @type {string} */ (JSON.parse(token));
      if (/\p{Surrogate}/u.test(written))
        throw new MessageRefused("a text of a message is not Unicode");
      if (tokens[at + 1] === ":") noteMember(open.at(-1), written);
    } else if (/^[-0-9]/.test(token) && !(WHOLE.test(token) && token.length <= LONGEST_NUMBER)) {
      throw new MessageRefused("a number of a message is not whole, or too long");
    }
  });
}

/** @param {Set<string> | null | undefined} members @param {string} name */
function noteMember(members, name) {
  if (members?.has(name)) throw new MessageRefused("a message names a member twice");
  members?.add(name);
}

// --- forms ----------------------------------------------------------------------

/** @param {number} longest @returns {Check} */
export const string = (longest) => (value) => typeof value === "string" && value.length <= longest;

/** @param {number} least @returns {Check} */
export const whole = (least) => (value) => Number.isSafeInteger(value) && Number(value) >= least;

/** @param {unknown} value */
export const boolean = (value) => typeof value === "boolean";

/** @param {...unknown} values @returns {Check} */
export const oneOf =
  (...values) =>
  (value) =>
    values.includes(value);

/** @param {Check} form @returns {Check} */
export const orNull = (form) => (value) => value === null || form(value);

/** @param {Check} form @param {number} most @returns {Check} */
export const list = (form, most) => (value) =>
  Array.isArray(value) && value.length <= most && value.every(form);

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Exactly these members; those of `optional` may be left out.
 * @param {Record<string, Check>} members @param {Record<string, Check>} [optional]
 * @returns {Check}
 */
export const object =
  (members, optional = {}) =>
  (value) =>
    isObject(value) &&
    Object.keys(members).every((name) => Object.hasOwn(value, name)) &&
    Object.entries(value).every(([name, member]) => {
      const form = Object.hasOwn(members, name)
        ? members[name]
        : Object.hasOwn(optional, name) && optional[name];
      return form ? form(member) : false;
    });

/** Any object with at most so many members. @param {number} most @returns {Check} */
export const members = (most) => (value) => isObject(value) && Object.keys(value).length <= most;
