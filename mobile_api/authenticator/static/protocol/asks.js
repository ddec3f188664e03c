// From what the service sent to what may be shown (section 6), one proof after the other.
//
// 1. readAsk: the ask is signed by the KS that came beside it → SignedAsk;
// 2. trust: that KS is the pinned one, or follows from it → TrustedAsk; at pairing the pin is
//    learnt by opening the envelope lock with the ask's cell;
// 3. checkDocuments: the list has the ask's root and count → CheckedAsk.
//
// Only a CheckedAsk is shown or answered. Nothing is canonicalised: `txHash` is over the text as
// received.
// @ts-check

import { MessageRefused, StrangerAsks } from "../errors.js";
import { b64u, equal, rawUuid, sha256, unb64u, utf8 } from "./bytes.js";
import { LIST_LIMIT, readList } from "./documents.js";
import { JWK, checkPoint, signerOf, thumbprint, unverifiedPayload, verify } from "./jose.js";
import { boolean, list, members, object, oneOf, orNull, readJson, string, whole } from "./json.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./jose.js").Jwk} Jwk */
/** @typedef {import("./documents.js").Item} Item */
/** @typedef {"sign" | "certificate_request" | "enrol" | "amend" | "set_password"} Kind */
/**
 * @typedef {object} Ask claims of a `cell-ask+jwt`
 * @property {1} v
 * @property {Kind} kind
 * @property {string} iss
 * @property {string} jti
 * @property {number} iat
 * @property {number} exp last moment to approve, seconds since 1970
 * @property {number} use_by
 * @property {string} cell
 * @property {number} epoch
 * @property {{ id: string, name: string }} rp
 * @property {{ lang: string, title: string, lines: string[] }} text
 * @property {Record<string, unknown>} fields
 * @property {{ root: string, count: number } | null} documents
 * @property {"SHA-256" | "SHA-384" | "SHA-512" | null} hash_alg
 * @property {{ approval: string, request: string, unlock: string } | null} key_thumbprints
 * @property {Jwk} sam
 * @property {boolean} number_asked
 */
/** @typedef {{ ask: Ask, ks: Jwk, txHash: Bytes, cell: Bytes }} SignedAsk */
/** @typedef {SignedAsk & { trusted: true }} TrustedAsk */
/** @typedef {TrustedAsk & { items: Item[] }} CheckedAsk */

const WITH_DOCUMENTS = ["sign", "certificate_request"];
const KEYS_LIMIT = 32;
const NAME = string(200);
const HASH = string(43);

const ASK = object({
  v: oneOf(1),
  kind: oneOf("sign", "certificate_request", "enrol", "amend", "set_password"),
  iss: string(500),
  jti: string(36),
  iat: whole(0),
  exp: whole(0),
  use_by: whole(0),
  cell: string(36),
  epoch: whole(1),
  rp: object({ id: NAME, name: NAME }),
  text: object({ lang: string(20), title: NAME, lines: list(string(2000), 100) }),
  fields: members(64),
  documents: orNull(
    object({ root: HASH, count: (value) => whole(1)(value) && Number(value) <= LIST_LIMIT }),
  ),
  hash_alg: oneOf("SHA-256", "SHA-384", "SHA-512", null),
  key_thumbprints: orNull(object({ approval: HASH, request: HASH, unlock: HASH })),
  sam: JWK,
  number_asked: boolean,
});
const KEY_CHANGE = object({ v: oneOf(1), iat: whole(0), old: HASH, new: JWK });

/**
 * Verify the ask under the key that came with it.
 * @param {string} unverified
 * @param {Jwk} ks
 * @returns {Promise<SignedAsk>}
 */
export async function readAsk(unverified, ks) {
  const ask = /** @type {Ask} */ (
    readJson(await verify(unverified, "cell-ask+jwt", ks), ASK, "an ask")
  );
  rawUuid(ask.jti);
  await checkPoint(ask.sam);
  if (typeof ask.fields.type !== "string") throw new MessageRefused("an ask's fields have no type");
  if (!(ask.iat <= ask.exp && ask.exp <= ask.use_by)) {
    throw new MessageRefused("the times of an ask are not in order");
  }
  onlyWhereItBelongs(ask);
  return { ask, ks, txHash: await sha256(utf8(unverified)), cell: rawUuid(ask.cell) };
}

/**
 * Compare the ask's KS with the pinned one, following `cell-keys+jwt` where it changed.
 * @param {SignedAsk} signed
 * @param {{ pin: Bytes, pinned: Jwk | null, keys: string[] }} known thumbprint of the KS that the
 *   phone trusts, the key itself where the phone has it, the changes as served
 * @returns {Promise<TrustedAsk>}
 */
export async function trust(signed, { pin, pinned, keys }) {
  if (keys.length > KEYS_LIMIT) throw new MessageRefused("too many changes of the service's key");
  const wanted = await thumbprint(signed.ks);
  let at = pin;
  for (const change of keys) {
    if (equal(at, wanted)) break;
    if (signerOf(change) === b64u(at)) {
      at = await thumbprint(await followed(change, await known(at, pinned, keys)));
    }
  }
  if (!equal(at, wanted)) {
    throw new StrangerAsks("the ask is not signed by the service that this phone knows");
  }
  return { ...signed, trusted: true };
}

/**
 * Check the list against root and count.
 * @param {TrustedAsk} trusted
 * @param {string[]} unverified
 * @returns {Promise<CheckedAsk>}
 */
export async function checkDocuments(trusted, unverified) {
  const { documents, hash_alg: hashAlg, kind } = trusted.ask;
  if (documents === null || hashAlg === null) {
    if (unverified.length > 0) {
      throw new MessageRefused("documents came beside an ask that has none");
    }
    return { ...trusted, items: [] };
  }
  const expected = { root: unb64u(documents.root, 32), count: documents.count, hashAlg };
  const items = await readList(unverified, expected);
  const requests = items.filter((item) => item.type === "csr").length;
  if (kind === "certificate_request" ? requests !== 1 || items.length !== 1 : requests > 0) {
    throw new MessageRefused("a csr belongs, alone, to a certificate_request");
  }
  return { ...trusted, items };
}

/** @param {Ask} ask */
function onlyWhereItBelongs(ask) {
  const has = ask.documents !== null;
  if (has !== (ask.hash_alg !== null) || has !== WITH_DOCUMENTS.includes(ask.kind)) {
    throw new MessageRefused("documents and hash_alg belong to sign and certificate_request");
  }
  if (ask.kind === "certificate_request" && ask.hash_alg !== "SHA-256") {
    throw new MessageRefused("a certificate_request is hashed by SHA-256");
  }
  if (ask.key_thumbprints !== null && ask.kind !== "enrol") {
    throw new MessageRefused("key_thumbprints belong to enrol");
  }
}

/**
 * The key of a trusted thumbprint. Whoever brings it, the thumbprint proves it.
 * @param {Bytes} pin @param {Jwk | null} pinned @param {string[]} keys @returns {Promise<Jwk>}
 */
async function known(pin, pinned, keys) {
  const brought = keys.map(
    (change) =>
      /** @type {Jwk} */ (readJson(unverifiedPayload(change), KEY_CHANGE, "a change of key").new),
  );
  for (const key of pinned === null ? brought : [...brought, pinned]) {
    if (equal(await thumbprint(key), pin)) return key;
  }
  throw new StrangerAsks("the service's key has changed, and its old one is not known");
}

/** @param {string} change @param {Jwk} old @returns {Promise<Jwk>} */
async function followed(change, old) {
  const claims = readJson(
    await verify(change, "cell-keys+jwt", old),
    KEY_CHANGE,
    "a change of key",
  );
  if (claims.old !== b64u(await thumbprint(old))) {
    throw new MessageRefused("a change of the service's key names another old key");
  }
  await checkPoint(claims.new);
  return claims.new;
}
