// Bytes as text (sections 1 and 5): base64url, ids, hashes, HKDF and raw AES-GCM values. A reader
// refuses what its writer would not have written: padding, stray bits, another case.
// @ts-check

import { MessageRefused } from "../errors.js";

export const NONCE = 12;
export const TAG = 16;
const LOCK_LIMIT = 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ALPHABET = /^[A-Za-z0-9_-]*$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** UTF-8 of a text. @param {string} text @returns {Bytes} */
export const utf8 = (text) => new Uint8Array(encoder.encode(text));

/** Text of UTF-8 without a byte order mark. @param {Bytes} bytes @returns {string} */
export function text(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new MessageRefused("a message is not UTF-8");
  }
}

/** One after the other. @param {...Bytes} parts @returns {Bytes} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Base64url without padding (RFC 7515, 2). @param {Bytes} bytes @returns {string} */
export function b64u(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Bytes of a canonical base64url text.
 * @param {unknown} value
 * @param {number} [length] how many bytes it must have
 * @returns {Bytes}
 */
export function unb64u(value, length) {
  if (typeof value !== "string" || !ALPHABET.test(value) || value.length % 4 === 1) {
    throw new MessageRefused("a value is not base64url");
  }
  const binary = atob(value.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  if (b64u(bytes) !== value) throw new MessageRefused("a base64url value is not canonical");
  if (length !== undefined && bytes.length !== length) {
    throw new MessageRefused(`a value has ${bytes.length} bytes, not ${length}`);
  }
  return bytes;
}

/** The 16 bytes of an id in lower-case text. @param {string} id @returns {Bytes} */
export function rawUuid(id) {
  if (!UUID.test(id)) throw new MessageRefused("an id is not a UUID in lower case");
  return Uint8Array.from(id.replaceAll("-", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** An id as text. @param {Bytes} bytes 16 of them @returns {string} */
export function uuidText(bytes) {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** @param {Bytes} one @param {Bytes} other */
export const equal = (one, other) => b64u(one) === b64u(other);

/** @param {number} length @returns {Bytes} */
export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

/** @param {Bytes} bytes @returns {Promise<Bytes>} */
export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/**
 * HKDF-SHA256 (RFC 5869).
 * @param {Bytes} secret
 * @param {string} info
 * @param {Bytes} [salt]
 * @param {number} [length]
 * @returns {Promise<Bytes>}
 */
export async function hkdf(secret, info, salt = new Uint8Array(), length = 32) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 8 * length));
}

/** A key for raw AES-GCM values. @param {Bytes} key @returns {Promise<CryptoKey>} */
export const aesKey = (key) =>
  crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);

/**
 * A raw AES-GCM value: base64url(nonce, ciphertext, tag).
 * @param {Bytes} plaintext @param {CryptoKey} key @param {Bytes} associated
 * @returns {Promise<string>}
 */
export async function encrypt(plaintext, key, associated) {
  const iv = random(NONCE);
  const how = { name: "AES-GCM", iv, additionalData: associated };
  return b64u(concat(iv, new Uint8Array(await crypto.subtle.encrypt(how, key, plaintext))));
}

/**
 * Plaintext of a raw AES-GCM value.
 * @param {string} unverified @param {CryptoKey} key @param {Bytes} associated
 * @param {number} [length] how many bytes it must hold
 * @returns {Promise<Bytes>}
 */
export async function decrypt(unverified, key, associated, length) {
  if (unverified.length > LOCK_LIMIT) throw new MessageRefused("a lock is too long");
  const bytes = unb64u(unverified, length === undefined ? undefined : NONCE + length + TAG);
  const how = { name: "AES-GCM", iv: bytes.subarray(0, NONCE), additionalData: associated };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, key, bytes.subarray(NONCE)));
  } catch {
    throw new MessageRefused("a lock does not open", "error.lock");
  }
}
