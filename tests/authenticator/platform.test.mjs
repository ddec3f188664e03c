// What a browser says that it runs on; what is not known to be a phone is a computer.

import assert from "node:assert/strict";
import { test } from "node:test";

const app = new URL("../../mobile_api/authenticator/static/", import.meta.url);
const { ownKind } = await import(new URL("platform.js", app));

const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.4";
const LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
const CASES = [
    ["pwa", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Mobile/15E148", {}],
    ["pwa", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140 Mobile", {}],
    ["pwa", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140", {}],
    ["pwa", "Mozilla/5.0 (Android 15; Tablet; rv:149.0) Gecko/149.0 Firefox/149.0", {}],
    ["pwa", MAC, { maxTouchPoints: 5 }], // an iPad
    ["pwa", LINUX, { userAgentData: { platform: "Android" } }], // a phone that asks for wide pages
    ["desktop", MAC, { maxTouchPoints: 0 }],
    ["desktop", LINUX, { userAgentData: { platform: "Linux" }, maxTouchPoints: 10 }],
    ["desktop", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/20100101 Firefox/153.0", {}],
    ["desktop", "", {}],
];

for (const [kind, userAgent, more] of CASES) {
    test(`${userAgent || "a browser that does not say"} (${JSON.stringify(more)}): ${kind}`, () => {
        const value = { userAgent, maxTouchPoints: 0, ...more };
        Object.defineProperty(globalThis, "navigator", { value, configurable: true });
        assert.equal(ownKind(), kind);
    });
}
