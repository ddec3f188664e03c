// The push subscription: told once, told again at each start, and replaced when it has died.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { afterEach, test } from "node:test";

globalThis.crypto ??= webcrypto; // Debian 12 has Node 18

const app = new URL("../../mobile_api/authenticator/static/", import.meta.url);
const { keepSubscribed } = await import(new URL("push.js", app));
const { newSigningKey } = await import(new URL("protocol/jose.js", app));

const PROFILE = { authorization_server: "https://a.example", mobile_api: "https://m.example" };
const KEY = "BAAA";
const { fetch: realFetch } = globalThis;

afterEach(() => Object.assign(globalThis, { fetch: realFetch }));

/** A browser whose subscriptions have numbers; `done` is what it was told to do. */
function browser() {
    const done = [];
    const made = (number) => ({
        options: { applicationServerKey: null },
        toJSON: () => ({
            endpoint: `https://push.example/${number}`,
            keys: { p256dh: "p", auth: "a" },
        }),
        unsubscribe: async () => (done.push("unsubscribe"), (present = null), true),
    });
    let number = 1;
    let present = made(number);
    const pushManager = {
        getSubscription: async () => present,
        subscribe: async () => (done.push("subscribe"), (present = made((number += 1)))),
    };
    const value = { serviceWorker: { ready: Promise.resolve({ pushManager }) } };
    Object.defineProperty(globalThis, "navigator", { value, configurable: true });
    globalThis.Notification = { permission: "granted" };
    globalThis.PushManager = class {};
    return done;
}

/** A service that has forgotten what stands in `gone`; `told` is what it was told, in turn. */
function service(...gone) {
    const told = [];
    globalThis.fetch = async (url, { method, body }) => {
        if (method === "GET") return new Response(JSON.stringify({ push_key: KEY }));
        const { endpoint, again } = JSON.parse(body);
        const number = Number(endpoint.split("/").pop());
        told.push([number, again]);
        if (!gone.includes("all") && !(again && gone.includes(number)))
            return new Response(null, { status: 204 });
        const type = "urn:cellkey:problem:subscription-gone";
        return new Response(JSON.stringify({ type, status: 410 }), { status: 410 });
    };
    return told;
}

const cells = async (...told) =>
    Promise.all(
        told.map(async (wokenAt, number) => ({
            id: `cell ${number}`,
            keys: { request: await newSigningKey() },
            wokenAt,
        })),
    );

const FIRST = "https://push.example/1";
const nothing = async () => undefined;

test("the service is told of a new subscription, and the cell remembers it", async () => {
    const done = browser();
    const told = service();
    const remembered = [];
    const remember = async (...change) => remembered.push(change);
    const [cell] = await cells(undefined);
    assert.equal(await keepSubscribed(PROFILE, [cell], remember), true);
    assert.equal(await keepSubscribed(PROFILE, [cell], remember), true);
    assert.deepEqual(told, [
        [1, false],
        [1, true],
    ]);
    assert.deepEqual(remembered, [["cell 0", { wokenAt: FIRST }]]);
    assert.deepEqual(done, []);
});

test("one that the service has forgotten is given back and replaced, for every cell", async () => {
    const done = browser();
    const told = service(1);
    const both = await cells(FIRST, undefined);
    assert.equal(await keepSubscribed(PROFILE, both, nothing), true);
    assert.deepEqual(told.slice(2), [
        [2, false],
        [2, false],
    ]);
    assert.deepEqual(done, ["unsubscribe", "subscribe"]);
    assert.deepEqual(
        new Set(both.map(({ wokenAt }) => wokenAt)),
        new Set([`${FIRST.slice(0, -1)}2`]),
    );
});

test("a service that wants none of them is not asked a third time", async () => {
    const done = browser();
    const told = service("all");
    await assert.rejects(keepSubscribed(PROFILE, await cells(FIRST), nothing), { status: 410 });
    assert.equal(told.length, 2);
    assert.deepEqual(done, ["unsubscribe", "subscribe"]);
});
