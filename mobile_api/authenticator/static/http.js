// One call: the same bytes again until an answer comes. Connection loss and 503 are repeated with
// growing pauses; the body stays the same to the byte, a proof is made new for each attempt because
// it counts once. The clock is set from each answer's `Date`.
// @ts-check

import { MessageRefused, ServerRefused, Unreachable } from "./errors.js";
import { isObject } from "./protocol/json.js";

/** @typedef {import("./protocol/json.js").Check} Check */
/**
 * @typedef {(method: string, url: string, body: string | null) => Promise<string>} Prove makes
 *   `Authorization`
 */
/**
 * @typedef {{ body?: object, prove?: Prove, attempts?: number, timeoutSeconds?: number, signal?:
 *   AbortSignal }} Call
 */

const ATTEMPTS = 5;
export const ANSWER_SECONDS = 15;
const FIRST_PAUSE_SECONDS = 0.5;
const LONGEST_PAUSE_SECONDS = 20;
const ANSWER_LIMIT = 1 << 23;
const UNAVAILABLE = 503;
const PROBLEM = "urn:cellkey:problem:";

let aheadSeconds = 0;

/** The service's time, in seconds since 1970. */
export const now = () => Math.floor(Date.now() / 1000 + aheadSeconds);

/** @param {Response} response */
function setClock(response) {
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) aheadSeconds = (date - Date.now()) / 1000;
}

/** @param {number} seconds @param {AbortSignal} [signal] */
export const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), {
      once: true,
    });
  });

/**
 * The answer to a request, repeated until there is one other than 503.
 * @param {string} method @param {string} url @param {Call} [call]
 * @returns {Promise<unknown>} parsed JSON, or null where there was no body
 */
export async function exchange(method, url, call = {}) {
  const { body, attempts = ATTEMPTS, signal } = call;
  const sent = body === undefined ? null : JSON.stringify(body);
  for (let attempt = 1; ; attempt += 1) {
    let wait = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1);
    try {
      return await once(method, url, sent, call);
    } catch (error) {
      const again =
        error instanceof ServerRefused
          ? error.status === UNAVAILABLE
          : error instanceof Unreachable;
      if (!again || attempt >= attempts || signal?.aborted) throw error;
      if (error instanceof ServerRefused) wait = Math.max(wait, error.retryAfterSeconds ?? 0);
    }
    await pause(Math.min(wait, LONGEST_PAUSE_SECONDS), signal);
  }
}

/**
 * @param {string} method @param {string} url @param {string | null} body @param {Call} call
 * @returns {Promise<unknown>}
 */
async function once(method, url, body, { prove, timeoutSeconds = ANSWER_SECONDS, signal }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== null) headers["Content-Type"] = "application/json";
  if (prove) headers.Authorization = await prove(method, url, body);
  const late = AbortSignal.timeout(1000 * timeoutSeconds);
  /** @type {Response} */
  let response;
  let answered;
  try {
    response = await fetch(url, {
      method,
      headers,
      body,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: signal ? anyOf(signal, late) : late,
    });
    answered = await response.text();
  } catch (error) {
    throw new Unreachable(`${method} ${url}: ${error}`);
  }
  setClock(response);
  if (answered.length > ANSWER_LIMIT) throw new MessageRefused("an answer is too long");
  if (!response.ok) throw refused(response, answered);
  return answered === "" ? null : parsed(answered);
}

/**
 * `AbortSignal.any`, which older phones do not have.
 * @param {AbortSignal} one
 * @param {AbortSignal} other
 */
export function anyOf(one, other) {
  const either = new AbortController();
  for (const signal of [one, other]) {
    if (signal.aborted) either.abort(signal.reason);
    signal.addEventListener("abort", () => either.abort(signal.reason), { once: true });
  }
  return either.signal;
}

/** @param {string} answered @returns {unknown} */
function parsed(answered) {
  try {
    return JSON.parse(answered);
  } catch {
    throw new MessageRefused("an answer is not JSON");
  }
}

/** @param {Response} response @param {string} answered */
function refused(response, answered) {
  let members;
  try {
    members = JSON.parse(answered);
  } catch {
    members = null;
  }
  const document = isObject(members) ? members : {};
  const type = typeof document.type === "string" ? document.type : "";
  const after = Number(response.headers.get("Retry-After"));
  return new ServerRefused({
    name: type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : "unknown",
    status: response.status,
    detail: typeof document.detail === "string" ? document.detail : "",
    members: document,
    retryAfterSeconds: after > 0 ? after : null,
  });
}

/**
 * An answer that has at least these members; what a later service adds is not looked at.
 * @param {unknown} answer @param {Record<string, Check>} members @returns {any}
 */
export function read(answer, members) {
  const fits =
    isObject(answer) && Object.entries(members).every(([name, form]) => form(answer[name]));
  if (!fits) throw new MessageRefused("an answer has not its form");
  return answer;
}

/** @param {Check} form @returns {Check} */
export const maybe = (form) => (value) => value === undefined || value === null || form(value);
