// The list of documents beside an ask, and its tree (section 3; RFC 9162, 2.1.1).
// @ts-check

import { MessageRefused } from "../errors.js";
import { concat, equal, sha256, unb64u, utf8 } from "./bytes.js";
import { object, oneOf, readJson, string } from "./json.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/**
 * @typedef {{ label: string, type: "dtbsr" | "sdr" | "csr", hash: string, document?: string }} Item
 */

const ITEM_LIMIT = 2048;
export const LIST_LIMIT = 10_000;
/** @type {Record<string, number>} */
const DIGEST_LENGTHS = { "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 };
const ITEM = object(
  { label: string(200), type: oneOf("dtbsr", "sdr", "csr"), hash: string(100) },
  { document: string(100) },
);

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/**
 * Merkle tree hash. Pairs from the left, level by level; an odd node moves up unchanged, which is
 * the tree of RFC 9162.
 * @param {Bytes[]} leaves @returns {Promise<Bytes>}
 */
export async function treeRoot(leaves) {
  if (leaves.length === 0) return sha256(new Uint8Array());
  let level = await Promise.all(leaves.map((leaf) => sha256(concat(LEAF, leaf))));
  while (level.length > 1) {
    const pairs = Array.from({ length: Math.ceil(level.length / 2) }, (_, at) =>
      level.slice(2 * at, 2 * at + 2),
    );
    level = await Promise.all(
      pairs.map(([left, right]) => (right ? sha256(concat(NODE, left, right)) : left)),
    );
  }
  return level[0];
}

/**
 * The items of a list, once it is proved to be the ask's.
 * @param {string[]} unverified
 * @param {{ root: Bytes, count: number, hashAlg: string }} expected
 * @returns {Promise<Item[]>}
 */
export async function readList(unverified, { root, count, hashAlg }) {
  if (unverified.length !== count) {
    throw new MessageRefused(`${unverified.length} documents came, the ask counts ${count}`);
  }
  if (unverified.some((item) => item.length > ITEM_LIMIT)) {
    throw new MessageRefused("an item of the list is too long");
  }
  if (!equal(await treeRoot(unverified.map(utf8)), root)) {
    throw new MessageRefused("the documents are not those of the ask");
  }
  const items = unverified.map((item) => readItem(item, DIGEST_LENGTHS[hashAlg]));
  if (new Set(items.map((item) => item.hash)).size !== count) {
    throw new MessageRefused("a document stands twice in the list");
  }
  return items;
}

/** @param {string} leaf @param {number} length @returns {Item} */
function readItem(leaf, length) {
  const item = /** @type {Item} */ (readJson(leaf, ITEM, "an item of the list"));
  unb64u(item.hash, length);
  if (item.document !== undefined) {
    unb64u(item.document);
    if (item.type === "csr") throw new MessageRefused("a csr has no document");
  }
  return item;
}
