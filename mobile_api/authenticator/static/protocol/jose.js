// Signed and encrypted messages (section 1): compact JWS by ES256 with `jose`, compact JWE by
// ECDH-ES and A256GCM put together here, because an approval needs an ephemeral key that was made
// before and is never extractable. A header has exactly the members of section 1; so `zip crit jwk
// jku x5u x5c` fail, and another `alg` or `typ` than the place expects.
// @ts-check

import { MessageRefused } from "../errors.js";
import { CompactSign, calculateJwkThumbprint, compactVerify, importJWK } from "../vendor/jose.js";
import { NONCE, TAG, aesKey, b64u, concat, random, sha256, text, unb64u, utf8 } from "./bytes.js";
import { object, oneOf, readJson, string } from "./json.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{ kty: "EC", crv: "P-256", x: string, y: string }} Jwk */
/** @typedef {{ privateKey: CryptoKey, jwk: Jwk }} Key a private key with its public half */

const MESSAGE_LIMIT = 65536;
const COORDINATE = 32;
const ECDH = { name: "ECDH", namedCurve: "P-256" };
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };

export const JWK = object({ kty: oneOf("EC"), crv: oneOf("P-256"), x: string(43), y: string(43) });
const SIGNATURE_HEADER = object({ alg: oneOf("ES256"), typ: string(100), kid: string(100) });
const LOCK_HEADER = object({
  alg: oneOf("ECDH-ES"),
  enc: oneOf("A256GCM"),
  typ: oneOf("cell-lock"),
  epk: JWK,
  apv: string(MESSAGE_LIMIT),
});

/** RFC 7638, SHA-256. @param {Jwk} jwk @returns {Promise<Bytes>} */
export const thumbprint = async (jwk) => unb64u(await calculateJwkThumbprint(jwk, "sha256"), 32);

/** A new key that signs and never leaves the browser. @returns {Promise<Key>} */
export const newSigningKey = async () =>
  keyOf(await crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]));

/**
 * A new key that agrees; extractable only where it is to be wrapped.
 * @param {boolean} extractable @returns {Promise<Key>}
 */
export const newAgreementKey = async (extractable) =>
  keyOf(await crypto.subtle.generateKey(ECDH, extractable, ["deriveBits"]));

/**
 * A private ECDH key from PKCS#8.
 * @param {Bytes} pkcs8
 * @param {boolean} extractable
 * @returns {Promise<CryptoKey>}
 */
export const agreementKey = (pkcs8, extractable) =>
  crypto.subtle.importKey("pkcs8", pkcs8, ECDH, extractable, ["deriveBits"]);

/** @param {CryptoKeyPair} pair @returns {Promise<Key>} */
async function keyOf(pair) {
  const { x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const jwk = /** @type {Jwk} */ ({ kty: "EC", crv: "P-256", x, y });
  return { privateKey: pair.privateKey, jwk };
}

/**
 * A compact JWS.
 * @param {object} claims
 * @param {string} typ
 * @param {Key} key
 * @returns {Promise<string>}
 */
export async function sign(claims, typ, key) {
  const kid = b64u(await thumbprint(key.jwk));
  return new CompactSign(utf8(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", typ, kid })
    .sign(key.privateKey);
}

/**
 * Payload of a JWS that `key` signed.
 * @param {string} unverified
 * @param {string} typ
 * @param {Jwk} key
 * @returns {Promise<string>}
 */
export async function verify(unverified, typ, key) {
  const [header, payload, signature] = partsOf(unverified, 3).map((part) => unb64u(part));
  const { typ: found, kid } = readJson(text(header), SIGNATURE_HEADER, "a header");
  if (found !== typ) throw new MessageRefused(`a message is of type ${found}, not ${typ}`);
  if (kid !== b64u(await thumbprint(key))) {
    throw new MessageRefused(`a ${typ} is signed by another key than the expected one`);
  }
  unb64u(b64u(signature), 2 * COORDINATE);
  try {
    await compactVerify(unverified, await publicKey(key), { algorithms: ["ES256"] });
  } catch {
    throw new MessageRefused(`the signature of a ${typ} is wrong`);
  }
  return text(payload);
}

/**
 * `kid` of a JWS, before anything of it is verified.
 * @param {string} unverified
 * @returns {string}
 */
export const signerOf = (unverified) =>
  readJson(text(unb64u(partsOf(unverified, 3)[0])), SIGNATURE_HEADER, "a header").kid;

/**
 * Payload of a JWS, before anything of it is verified.
 * @param {string} unverified
 * @returns {string}
 */
export const unverifiedPayload = (unverified) => text(unb64u(partsOf(unverified, 3)[1]));

/** Refuse what is no point of the curve. @param {Jwk} jwk @returns {Promise<CryptoKey>} */
async function publicKey(jwk) {
  unb64u(jwk.x, COORDINATE);
  unb64u(jwk.y, COORDINATE);
  return /** @type {CryptoKey} */ (await importJWK(jwk, "ES256"));
}

/** @param {Jwk} jwk @returns {Promise<CryptoKey>} */
async function agreementPublicKey({ kty, crv, x, y }) {
  unb64u(x, COORDINATE);
  unb64u(y, COORDINATE);
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x, y }, ECDH, false, []);
  } catch {
    throw new MessageRefused("a key is no point of P-256");
  }
}

/** Refuse a JWK that is no point of P-256. @param {Jwk} jwk */
export const checkPoint = agreementPublicKey;

/**
 * A `cell-secret`: a compact JWE to `recipient` under an ephemeral key (RFC 7518, 4.6).
 * @param {Bytes} plaintext
 * @param {{ recipient: Jwk, ephemeral: Key, apu: Bytes, apv: Bytes }} to
 * @returns {Promise<string>}
 */
export async function seal(plaintext, { recipient, ephemeral, apu, apv }) {
  const header = {
    alg: "ECDH-ES",
    enc: "A256GCM",
    typ: "cell-secret",
    epk: ephemeral.jwk,
    apu: b64u(apu),
    apv: b64u(apv),
  };
  const protectedPart = b64u(utf8(JSON.stringify(header)));
  const key = await agreedKey(ephemeral.privateKey, recipient, apu, apv);
  const iv = random(NONCE);
  const how = { name: "AES-GCM", iv, additionalData: utf8(protectedPart) };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, plaintext));
  const [ciphertext, tag] = [sealed.subarray(0, -TAG), sealed.subarray(-TAG)];
  return `${protectedPart}..${b64u(iv)}.${b64u(ciphertext)}.${b64u(tag)}`;
}

/**
 * Plaintext of a `cell-lock` with exactly this `apv`.
 * @param {string} unverified
 * @param {{ key: CryptoKey, apv: Bytes }} by
 * @returns {Promise<Bytes>}
 */
export async function unseal(unverified, { key, apv }) {
  const [protectedPart, empty, iv, ciphertext, tag] = partsOf(unverified, 5);
  const header = readJson(text(unb64u(protectedPart)), LOCK_HEADER, "a lock's header");
  if (empty !== "" || header.apv !== b64u(apv)) {
    throw new MessageRefused("this is not the lock that belongs here", "error.lock");
  }
  const agreed = await agreedKey(key, header.epk, new Uint8Array(), apv);
  const how = { name: "AES-GCM", iv: unb64u(iv, NONCE), additionalData: utf8(protectedPart) };
  try {
    const data = concat(unb64u(ciphertext), unb64u(tag, TAG));
    return new Uint8Array(await crypto.subtle.decrypt(how, agreed, data));
  } catch {
    throw new MessageRefused("a lock does not open", "error.lock");
  }
}

/**
 * Concat KDF of ECDH-ES in direct mode (RFC 7518, 4.6.2): one round of SHA-256.
 * @param {CryptoKey} privateKey @param {Jwk} jwk @param {Bytes} apu @param {Bytes} apv
 * @returns {Promise<CryptoKey>}
 */
async function agreedKey(privateKey, jwk, apu, apv) {
  const how = { name: "ECDH", public: await agreementPublicKey(jwk) };
  const shared = new Uint8Array(await crypto.subtle.deriveBits(how, privateKey, 256));
  const other = [utf8("A256GCM"), apu, apv].flatMap((part) => [uint32(part.length), part]);
  return aesKey(await sha256(concat(uint32(1), shared, ...other, uint32(256))));
}

/** @param {number} value @returns {Bytes} */
function uint32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** @param {string} unverified @param {number} count */
function partsOf(unverified, count) {
  if (typeof unverified !== "string" || unverified.length > MESSAGE_LIMIT) {
    throw new MessageRefused("a message is too long");
  }
  const parts = unverified.split(".");
  if (parts.length !== count) throw new MessageRefused(`a message has ${parts.length} parts`);
  return parts;
}
