// The calls of section 8, and what an answer must have.
// @ts-check

import { ANSWER_SECONDS, exchange, maybe, now, read } from "./http.js";
import { ServerRefused } from "./errors.js";
import { requestProof } from "./protocol/answers.js";
import { JWK } from "./protocol/jose.js";
import { boolean, isObject, list, orNull, string, whole } from "./protocol/json.js";

/** @typedef {import("./http.js").Call} Call */
/** @typedef {import("./http.js").Prove} Prove */
/** @typedef {import("./protocol/jose.js").Jwk} Jwk */
/** @typedef {import("./protocol/jose.js").Key} Key */
/**
 * @typedef {{ ca: string, color: string, authorization_server: string, mobile_api: string, rp_id:
 *   string, wait: string | null, software_unlock: boolean }} Profile
 */
/**
 * @typedef {{ state: string, ask: string | null, ks: Jwk | null, keys: string[], confirmation:
 *   string[], envelope_lock?: string | null, recovery_lock?: string | null, password_recovery?:
 *   boolean | null }} PairingAnswer
 */
/** @typedef {{ id: string, kind: string, expires_at: string }} Pending */
/** @typedef {{ version: string, transactions: Pending[], wait: string | null }} PendingList */
/**
 * @typedef {{ state: string, ask: string, ks: Jwk, keys: string[], list: string[], lock: string |
 *   null }} TransactionAnswer
 */
/**
 * @typedef {{ kid: string, kind: string, paired_at: string, this: boolean, removal_asked: boolean
 *   }} Device
 */
/** @typedef {{ id: string, name: string, stopped_at: string }} StoppedParty */

export { now };
export const LONGEST_WAIT_SECONDS = 25;

const TEXT = string(65536);
const TEXTS = list(TEXT, 10_000);

// --- the app's own origin -------------------------------------------------------

/** @returns {Promise<Profile>} */
export async function profile() {
  const response = await fetch("/profile.json");
  return read(await response.json(), {
    ca: TEXT,
    color: TEXT,
    authorization_server: TEXT,
    mobile_api: TEXT,
    rp_id: TEXT,
    wait: orNull(TEXT),
    software_unlock: boolean,
  });
}

// --- 8.2: a phone that is not paired yet, known by its ticket ---------------------

export class PairingCalls {
  /** @param {Profile} profile */
  constructor({ authorization_server: a, mobile_api: m }) {
    this.a = a;
    this.m = m;
  }

  /**
   * Step 1: prove login and password, choose a new one.
   * @param {{ login: string, password: string, new_password?: string, pairing?: string }} body
   * @returns {Promise<string>} the ticket
   */
  async ticket(body) {
    const answer = await exchange("POST", `${this.a}/pairing/tickets`, { body });
    return read(answer, { ticket: TEXT }).ticket;
  }

  /**
   * Step 2: the enrol ask with what belongs to it.
   * @param {string} ticket
   * @returns {Promise<PairingAnswer>}
   */
  async pairing(ticket) {
    const answer = await exchange("GET", `${this.m}/pairing`, { prove: bearer(ticket) });
    return read(answer, {
      state: TEXT,
      ask: orNull(TEXT),
      ks: orNull(JWK),
      keys: TEXTS,
      confirmation: TEXTS,
      envelope_lock: maybe(TEXT),
      recovery_lock: maybe(TEXT),
      password_recovery: maybe(boolean),
    });
  }

  /**
   * Step 2: hand in the enrolment.
   * @param {string} ticket
   * @param {{ enrolment: string, sealed: string | null }} said
   * @returns {Promise<{ state: string, twelve: string }>}
   */
  async enrol(ticket, { enrolment, sealed }) {
    const body = { enrolment, sealed };
    const answer = await exchange("PUT", `${this.m}/pairing/enrolment`, {
      body,
      prove: bearer(ticket),
    });
    return read(answer, { state: TEXT, twelve: TEXT });
  }

  /**
   * Step 3: have the code sent.
   * @param {string} ticket
   * @returns {Promise<number>} how often it may be asked for again
   */
  async sendCode(ticket) {
    const answer = await exchange("POST", `${this.a}/pairing/code`, {
      body: {},
      prove: bearer(ticket),
    });
    return read(answer, { tries_left: whole(0) }).tries_left;
  }

  /**
   * Step 3: hand in the code.
   * @param {string} ticket
   * @param {object} body
   * @returns {Promise<string>} the state
   */
  async confirm(ticket, body) {
    const answer = await exchange("POST", `${this.a}/pairing/confirmation`, {
      body,
      prove: bearer(ticket),
    });
    return read(answer, { state: TEXT }).state;
  }
}

/** @param {string} ticket @returns {Prove} */
const bearer = (ticket) => async () => `Bearer ${ticket}`;

// --- 8.3: a paired phone, known by its request key --------------------------------

const PENDING = (/** @type {unknown} */ value) =>
  isObject(value) && TEXT(value.id) && TEXT(value.kind) && TEXT(value.expires_at);

/**
 * @typedef {{ state: string, ask: string, ks: Jwk, keys: string[], lock: string | null, pin: string
 *   | null }} FurtherAnswer
 */

export class PhoneCalls {
  /** @param {Profile} profile @param {Key} requestKey */
  constructor({ authorization_server: a, mobile_api: m }, requestKey) {
    this.a = a;
    this.m = m;
    this.requestKey = requestKey;
  }

  /** The service's key for push messages. @returns {Promise<string>} */
  async pushKey() {
    return read(await exchange("GET", `${this.m}/info`, { attempts: 2 }), { push_key: TEXT })
      .push_key;
  }

  /**
   * What waits for an answer; with a version, once it is another or some seconds have passed.
   * @param {{ version?: string, signal?: AbortSignal }} [since] @returns {Promise<PendingList>}
   */
  async pending({ version, signal } = {}) {
    const query =
      version === undefined
        ? ""
        : `?wait=${LONGEST_WAIT_SECONDS}&version=${encodeURIComponent(version)}`;
    const timeoutSeconds = ANSWER_SECONDS + (version === undefined ? 0 : LONGEST_WAIT_SECONDS);
    const answer = await this.call("GET", `transactions${query}`, {
      attempts: 1,
      timeoutSeconds,
      signal,
    });
    return read(answer, { version: TEXT, transactions: list(PENDING, 100), wait: maybe(TEXT) });
  }

  /** @param {string} id @returns {Promise<TransactionAnswer>} */
  async transaction(id) {
    const answer = await this.call("GET", `transactions/${id}`, { attempts: 3 });
    const members = {
      state: TEXT,
      ask: TEXT,
      ks: JWK,
      keys: TEXTS,
      list: TEXTS,
      lock: maybe(TEXT),
    };
    return read(answer, members);
  }

  /**
   * @param {string} id
   * @param {{ approval: string, sealed: string }} body
   * @returns {Promise<string>}
   */
  async approve(id, { approval, sealed }) {
    const answer = await this.call("PUT", `transactions/${id}/approval`, {
      body: { approval, sealed },
    });
    return read(answer, { state: TEXT }).state;
  }

  /** @param {string} id @param {string} refusal @returns {Promise<string>} */
  async refuse(id, refusal) {
    const answer = await this.call("PUT", `transactions/${id}/refusal`, { body: { refusal } });
    return read(answer, { state: TEXT }).state;
  }

  /** @param {{ endpoint: string, keys: { p256dh: string, auth: string }, again: boolean }} body */
  subscribe = (body) => this.call("PUT", "push-subscription", { body });
  unsubscribe = () => this.call("DELETE", "push-subscription");
  /** @param {string} lock */
  keepRecoveryLock = (lock) => this.call("PUT", "recovery-lock", { body: { lock } });
  freeze = () => this.call("POST", "freeze", { body: {} });
  /** @param {string} kid */
  removeDevice = (kid) => this.call("DELETE", `devices/${kid}`);
  /** @param {string} id */
  allow = (id) => this.call("DELETE", `relying-parties/stopped/${encodeURIComponent(id)}`);

  /**
   * Ask for a further phone, whose keys were scanned from its screen.
   * @param {{ approval: string, request: string, unlock: string }} keys
   * @returns {Promise<string>} id of the transaction to approve
   */
  async askForFurther(keys) {
    const answer = await this.call("POST", `${this.a}/further-phones`, { body: { keys } });
    return read(answer, { transaction: TEXT }).transaction;
  }

  /** As the further phone itself: how its pairing stands. @returns {Promise<FurtherAnswer>} */
  async further() {
    const body = { request: this.requestKey.jwk };
    const answer = await this.call("POST", "further-phone", { body, attempts: 1 });
    return read(answer, {
      state: TEXT,
      ask: TEXT,
      ks: JWK,
      keys: TEXTS,
      lock: maybe(TEXT),
      pin: maybe(TEXT),
    });
  }

  /** As the further phone itself: hand in its keys. @param {string} enrolment */
  furtherEnrolment = (enrolment) =>
    this.call("PUT", "further-phone/enrolment", { body: { enrolment } });

  /** This phone's device lock, without a transaction. @returns {Promise<string>} */
  async lock() {
    return read(await this.call("GET", "lock"), { lock: TEXT }).lock;
  }

  /** @returns {Promise<Device[]>} */
  async devices() {
    const known = (/** @type {unknown} */ value) =>
      isObject(value) && TEXT(value.kid) && TEXT(value.kind);
    return read(await this.call("GET", "devices"), { devices: list(known, 100) }).devices;
  }

  /**
   * This phone's security keys that count, and the hash of the record that a further one follows.
   * @returns {Promise<{ record: string, security_keys: { id: string }[] }>}
   */
  async securityKeys() {
    const known = (/** @type {unknown} */ value) => isObject(value) && TEXT(value.id);
    const answer = await this.call("GET", "security-keys");
    return read(answer, { record: TEXT, security_keys: list(known, 16) });
  }

  /** @param {string} message */
  addSecurityKey = (message) =>
    this.call("POST", `${this.a}/security-keys`, { body: { security_key: message } });
  /** @param {string} id of the credential */
  removeSecurityKey = (id) => this.call("DELETE", `${this.a}/security-keys/${id}`);

  /** @returns {Promise<StoppedParty[]>} */
  async stopped() {
    const known = (/** @type {unknown} */ value) =>
      isObject(value) && TEXT(value.id) && TEXT(value.name);
    const answer = await this.call("GET", "relying-parties/stopped");
    return read(answer, { relying_parties: list(known, 100) }).relying_parties;
  }

  /**
   * Any call with a proof. One that is not taken is made again once: it was seen before (its answer
   * was lost), or the clock has only now been set from `Date`.
   * @param {string} method @param {string} path @param {Call} [call] @returns {Promise<unknown>}
   */
  async call(method, path, call = {}) {
    /** @type {Prove} */
    const prove = async (htm, url, body) =>
      `DPoP ${await requestProof(this.requestKey, { method: htm, url, body, now: now() })}`;
    const url = path.startsWith("http") ? path : `${this.m}/${path}`;
    const attempt = () => exchange(method, url, { ...call, prove });
    try {
      return await attempt();
    } catch (error) {
      const again =
        error instanceof ServerRefused && ["replayed", "unauthenticated"].includes(error.problem);
      if (!again) throw error;
    }
    return attempt();
  }
}
