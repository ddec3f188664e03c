// The app's calls: the same bytes until an answer comes, a new proof for each, the service's clock.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { afterEach, test } from "node:test";

globalThis.crypto ??= webcrypto; // Debian 12 has Node 18

const app = new URL("../../mobile_api/authenticator/static/", import.meta.url);
const { PairingCalls, PhoneCalls } = await import(new URL("api.js", app));
const { now } = await import(new URL("http.js", app));
const { newSigningKey } = await import(new URL("protocol/jose.js", app));

const PROFILE = {
    authorization_server: "https://a.example",
    mobile_api: "https://m.example/phones",
};
const { fetch: realFetch, setTimeout: realTimeout } = globalThis;

afterEach(() => Object.assign(globalThis, { fetch: realFetch, setTimeout: realTimeout }));

/** Answers in turn; `sent` is what went out. Pauses take no time, and are noted in seconds. */
function service(...answers) {
    const heard = { sent: [], pauses: [] };
    globalThis.setTimeout = (work, ms) => (heard.pauses.push(ms / 1000), realTimeout(work, 0));
    globalThis.fetch = async (url, init) => {
        heard.sent.push({ url, ...init });
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        const { status = 200, body = {}, headers = {} } = answer;
        return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
    };
    return heard;
}

const problem = (name, status, headers = {}, members = {}) => ({
    status,
    headers,
    body: { type: `urn:cellkey:problem:${name}`, title: "", status, detail: "why", ...members },
});

const claimsOf = (call) =>
    JSON.parse(Buffer.from(call.headers.Authorization.split(" ")[1].split(".")[1], "base64url"));

const phone = async () => new PhoneCalls(PROFILE, await newSigningKey());

test("what a network loses is sent again, the same bytes under a new proof", async () => {
    const lost = new TypeError("network");
    const { sent } = service(lost, problem("unavailable", 503), { body: { state: "approved" } });
    const calls = await phone();
    const state = await calls.approve("some-id", { approval: "a.b.c", sealed: "d..e.f.g", exp: 1 });
    assert.equal(state, "approved");
    assert.equal(sent.length, 3);
    assert.deepEqual(
        new Set(sent.map((call) => call.body)),
        new Set(['{"approval":"a.b.c","sealed":"d..e.f.g"}']),
    );
    assert.equal(new Set(sent.map((call) => claimsOf(call).jti)).size, 3);
    assert.equal(claimsOf(sent[0]).htu, "https://m.example/phones/transactions/some-id/approval");
});

test("a pause is as long as the service asks, and bounded", async () => {
    const busy = (seconds) => problem("unavailable", 503, { "Retry-After": seconds });
    const { pauses } = service(busy("3"), busy("9000"), { body: { devices: [] } });
    await (await phone()).devices();
    assert.deepEqual(pauses, [3, 20]);
});

test("what the service refuses is not repeated, and told whole", async () => {
    const { sent } = service(problem("wrong-code", 422, {}, { tries_left: 2 }));
    const calls = new PairingCalls(PROFILE);
    await assert.rejects(calls.confirm("ticket", { code: "00000000" }), (error) => {
        assert.deepEqual(
            [error.problem, error.members.tries_left, error.word],
            ["wrong-code", 2, "problem.wrong-code"],
        );
        return true;
    });
    assert.equal(sent.length, 1);
    assert.equal(sent[0].headers.Authorization, "Bearer ticket");
});

test("a proof that was not taken is made again once, by the service's clock", async () => {
    const late = new Date(Date.now() + 7200_000).toUTCString();
    const { sent } = service(problem("unauthenticated", 401, { Date: late }), { status: 204 });
    await (await phone()).freeze();
    assert.ok(claimsOf(sent[1]).iat - claimsOf(sent[0]).iat > 7000);
    assert.ok(now() - Date.now() / 1000 > 7000); // whatever time has passed meanwhile
    service(problem("unauthenticated", 401), problem("unauthenticated", 401));
    await assert.rejects((await phone()).freeze(), { problem: "unauthenticated" });
});

test("no cookie, no redirect, no referrer; the query is not proved", async () => {
    const { sent } = service({ body: { version: "v", transactions: [], wait: null } });
    await (await phone()).pending({ version: "v/1" });
    const [call] = sent;
    assert.deepEqual(
        [call.credentials, call.redirect, call.referrerPolicy],
        ["omit", "error", "no-referrer"],
    );
    assert.equal(call.url, "https://m.example/phones/transactions?wait=25&version=v%2F1");
    assert.equal(claimsOf(call).htu, "https://m.example/phones/transactions");
    assert.equal(claimsOf(call).body, null);
});

test("an answer without its members, or that is no JSON, is refused", async () => {
    service({ body: { transactions: [], wait: null } });
    await assert.rejects((await phone()).pending(), /has not its form/);
    globalThis.fetch = async () => new Response("<html>", { status: 200 });
    await assert.rejects((await phone()).pending(), /not JSON/);
    service({ status: 502, body: "proxy" });
    await assert.rejects((await phone()).freeze(), { problem: "unknown", status: 502 });
});
