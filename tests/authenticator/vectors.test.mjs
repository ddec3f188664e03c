// The app's protocol modules against docs/test-vectors.json, and against what must be refused.
// The same file runs in Node (`node --test`) and, with the vectors handed in, in a browser.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { claims } from "./vector_claims.mjs";

globalThis.crypto ??= webcrypto; // Debian 12 has Node 18

const vectors = JSON.parse(readFileSync(new URL("../../docs/test-vectors.json", import.meta.url)));
const app = new URL("../../mobile_api/authenticator/static/", import.meta.url);
const load = (name) => import(new URL(`protocol/${name}.js`, app));

for (const [sentence, check] of Object.entries(claims)) {
    test(sentence, () => check(vectors, load, assert));
}
