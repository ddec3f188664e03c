// The browser's passkey: what is taken of its answers, and what is not.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";

globalThis.crypto ??= webcrypto; // Debian 12 has Node 18

const app = new URL("../../mobile_api/authenticator/static/", import.meta.url);
const { createPasskey, usePasskey } = await import(new URL("passkey.js", app));
const { b64u } = await import(new URL("protocol/bytes.js", app));

const bytes = (...values) => Uint8Array.from(values);
const WANTED = { rpId: "app.example", id: "AQID", challenge: bytes(1), salt: bytes(2) };
const OUTPUT = bytes(...Array(32).keys());

function authenticatorData(flags, extra = 0) {
    const data = new Uint8Array(37 + extra);
    data[32] = flags;
    return data.buffer;
}

/** A browser that answers in turn; `asked` is what it was asked for. */
function browser(...answers) {
    const asked = [];
    const answer = async ({ publicKey }) => {
        asked.push(publicKey);
        const next = answers.shift();
        if (next instanceof Error) throw next;
        return next;
    };
    const value = { credentials: { get: answer, create: answer } };
    Object.defineProperty(globalThis, "navigator", { value, configurable: true });
    return asked;
}

const assertion = (data, results = {}) => ({
    rawId: bytes(1, 2, 3).buffer,
    response: {
        authenticatorData: data,
        clientDataJSON: bytes(4).buffer,
        signature: bytes(5).buffer,
        userHandle: bytes(6).buffer,
    },
    getClientExtensionResults: () => results,
});

test("of an assertion four members go out, and the PRF's output stays beside them", async () => {
    const asked = browser(
        assertion(authenticatorData(0x85, 60), { prf: { results: { first: OUTPUT.buffer } } }),
    );
    const { assertion: said, output } = await usePasskey(WANTED);
    assert.deepEqual(Object.keys(said).sort(), [
        "authenticatorData",
        "clientDataJSON",
        "id",
        "signature",
    ]);
    assert.deepEqual(output, OUTPUT);
    assert.ok(!JSON.stringify(said).includes(b64u(OUTPUT)));
    assert.equal(asked[0].userVerification, "required");
    assert.deepEqual(asked[0].extensions.prf.eval.first, WANTED.salt);
});

test("an answer that no verifier takes is asked for again without the PRF", async () => {
    const asked = browser(
        assertion(authenticatorData(0x05, 60)),
        assertion(authenticatorData(0x05)),
    );
    const { output } = await usePasskey(WANTED);
    assert.equal(output, null);
    assert.equal(asked.length, 2);
    assert.equal(asked[1].extensions, undefined);
});

test("a passkey without PRF gives none", async () => {
    browser(assertion(authenticatorData(0x05)));
    assert.equal((await usePasskey(WANTED)).output, null);
});

test("a registration is ES256 with a verified user, and carries no attestation to be looked at", async () => {
    const asked = browser({
        rawId: bytes(1, 2, 3).buffer,
        response: { attestationObject: bytes(7).buffer, clientDataJSON: bytes(8).buffer },
        getClientExtensionResults: () => ({ prf: { enabled: true, results: { first: OUTPUT } } }),
    });
    const wanted = { ca: "CA", name: "Anna", userId: bytes(9), ...WANTED };
    assert.deepEqual(await createPasskey(wanted), {
        id: "AQID",
        attestationObject: "Bw",
        clientDataJSON: "CA",
    });
    assert.deepEqual(asked[0].pubKeyCredParams, [{ type: "public-key", alg: -7 }]);
    assert.deepEqual(
        [asked[0].attestation, asked[0].authenticatorSelection.userVerification],
        ["none", "required"],
    );
});

test("a person who turns away, and a phone that cannot, are told apart", async () => {
    browser(new DOMException("no", "NotAllowedError"));
    await assert.rejects(usePasskey(WANTED), { word: "error.not-verified" });
    browser(new DOMException("no", "SecurityError"));
    await assert.rejects(usePasskey(WANTED), { word: "error.passkey" });
    browser(null);
    await assert.rejects(usePasskey(WANTED), { word: "error.passkey" });
});

test("of several passkeys any may answer, each with its own PRF; without it, each once more", async () => {
    const others = [{ id: "BAUG", salt: bytes(3) }];
    const answer = assertion(authenticatorData(0x85, 60), { prf: { results: { first: OUTPUT } } });
    const asked = browser(answer, assertion(authenticatorData(0x05, 60)), answer);
    const used = await usePasskey({ ...WANTED, others });
    assert.deepEqual(used.output, OUTPUT);
    assert.deepEqual(
        asked[0].allowCredentials.map(({ id }) => b64u(id)),
        ["AQID", "BAUG"],
    );
    assert.deepEqual(asked[0].extensions.prf, {
        evalByCredential: { AQID: { first: WANTED.salt }, BAUG: { first: bytes(3) } },
    });
    assert.equal((await usePasskey({ ...WANTED, others })).output, null);
    assert.equal(asked[2].extensions, undefined);
    assert.equal(asked[2].allowCredentials.length, 2);
});

test("a security key is another device than the ones that are known, and asks for its PIN", async () => {
    const asked = browser({
        rawId: bytes(1, 2, 3).buffer,
        response: { attestationObject: bytes(7).buffer, clientDataJSON: bytes(8).buffer },
        getClientExtensionResults: () => ({}),
    });
    const wanted = { ca: "CA", name: "Anna", userId: bytes(9), ...WANTED, beside: ["BAUG"] };
    await createPasskey(wanted);
    assert.deepEqual(asked[0].authenticatorSelection, {
        residentKey: "discouraged",
        userVerification: "required",
        authenticatorAttachment: "cross-platform",
    });
    assert.deepEqual(
        asked[0].excludeCredentials.map(({ id }) => b64u(id)),
        ["BAUG"],
    );
});
