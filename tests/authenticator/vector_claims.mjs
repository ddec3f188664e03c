// What is claimed of the app's protocol modules; each claim gets the vectors, a way to load a module,
// and an `assert` with deepEqual, equal and rejects. No claim needs Node.

const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const shown = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const messageOf = (vectors, typ, about) =>
    vectors.messages.find((message) => message.typ === typ && message.about === about);

async function signingKey({ d, jwk }) {
    const how = { name: "ECDSA", namedCurve: "P-256" };
    return {
        privateKey: await crypto.subtle.importKey("jwk", { ...jwk, d }, how, false, ["sign"]),
        jwk,
    };
}

async function agreementKey({ d, jwk }) {
    const how = { name: "ECDH", namedCurve: "P-256" };
    const bits = ["deriveBits"];
    return {
        privateKey: await crypto.subtle.importKey("jwk", { ...jwk, d }, how, false, bits),
        jwk,
    };
}

/** A JWS with a header and claims of the attacker's choice, truly signed. */
async function forged(header, payload, key, { b64u, utf8 }) {
    const signed = `${b64u(utf8(JSON.stringify(header)))}.${b64u(utf8(payload))}`;
    const how = { name: "ECDSA", hash: "SHA-256" };
    const signature = await crypto.subtle.sign(how, key.privateKey, utf8(signed));
    return `${signed}.${b64u(new Uint8Array(signature))}`;
}

const askOf = (vectors) => messageOf(vectors, "cell-ask+jwt", undefined);

export const claims = {
    "base64url is canonical": async (_vectors, load, assert) => {
        const { b64u, unb64u } = await load("bytes");
        assert.equal(b64u(hex("fbff")), "-_8");
        for (const bad of ["-_8=", "-_9", "A", "-_8 ", "+/8", null, 1])
            assert.throws(() => unb64u(bad));
        assert.throws(() => unb64u("-_8", 3));
    },

    "ids are lower-case UUIDs and go in as 16 bytes": async (_vectors, load, assert) => {
        const { rawUuid, uuidText } = await load("bytes");
        const id = "6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f01";
        assert.equal(shown(rawUuid(id)), id.replaceAll("-", ""));
        assert.equal(uuidText(rawUuid(id)), id);
        for (const bad of [id.toUpperCase(), id.replaceAll("-", ""), `{${id}}`]) {
            assert.throws(() => rawUuid(bad));
        }
    },

    "JSON that can be read in two ways is refused": async (_vectors, load, assert) => {
        const { strictJson } = await load("json");
        assert.deepEqual(
            strictJson('{ "a": [1, -2, "b:{", null, true], "b": {"a": "\\""} }').a.length,
            5,
        );
        const deep = (levels) => "[".repeat(levels) + "]".repeat(levels);
        strictJson(deep(16));
        const bad = [
            '{"a":1,"a":1}',
            '{"\\u0061":1,"a":2}',
            '{"x":{"a":1,"b":2,"a":3}}',
            "1.0",
            "1e3",
            "-0",
            "12345678901234567",
            '"\\ud800"',
            "\ufeff{}",
            "{",
            deep(17),
        ];
        for (const text of bad) assert.throws(() => strictJson(text), undefined, text);
    },

    "a message that is not text is refused, not mended": async (_vectors, load, assert) => {
        const { text } = await load("bytes");
        assert.throws(() => text(hex("ff")));
    },

    "each message of the vectors has its signature, and none of another type": async (
        vectors,
        load,
        assert,
    ) => {
        const { verify } = await load("jose");
        for (const { typ, signed_by: by, compact, claims: expected } of vectors.messages) {
            assert.deepEqual(
                JSON.parse(await verify(compact, typ, vectors.keys[by].jwk)),
                expected,
            );
            await assert.rejects(verify(compact, "cell-other+jwt", vectors.keys[by].jwk));
            await assert.rejects(verify(compact, typ, vectors.keys.ephemeral.jwk));
            await assert.rejects(verify(compact.slice(0, -4) + "AAAA", typ, vectors.keys[by].jwk));
        }
    },

    "a header with anything else than alg, typ and kid is refused": async (
        vectors,
        load,
        assert,
    ) => {
        const { verify } = await load("jose");
        const bytes = await load("bytes");
        const { jwk, thumbprint: kid } = vectors.keys.KS;
        const key = await signingKey(vectors.keys.KS);
        const typ = "cell-ask+jwt";
        const good = { alg: "ES256", typ, kid };
        await verify(await forged(good, "{}", key, bytes), typ, jwk);
        const bad = [
            { ...good, jwk },
            { ...good, crit: [] },
            { ...good, zip: "DEF" },
            { ...good, alg: "none" },
            { alg: "ES256", typ },
            { ...good, x5u: "https://x" },
            { ...good, alg: "ES384" },
        ];
        for (const header of bad) {
            await assert.rejects(verify(await forged(header, "{}", key, bytes), typ, jwk));
        }
    },

    "thumbprints are those of RFC 7638": async (vectors, load, assert) => {
        const { thumbprint } = await load("jose");
        const { b64u } = await load("bytes");
        for (const key of Object.values(vectors.keys)) {
            assert.equal(b64u(await thumbprint(key.jwk)), key.thumbprint);
        }
    },

    "a device lock opens with its unlock key and under its label alone": async (
        vectors,
        load,
        assert,
    ) => {
        const { openDeviceLock } = await load("locks");
        const { unb64u, rawUuid } = await load("bytes");
        const { compact, plaintext } = vectors.seals.find(
            (seal) => seal.header.typ === "cell-lock",
        );
        const cell = rawUuid(askOf(vectors).claims.cell);
        const kid = unb64u(vectors.keys.approval.thumbprint);
        const { privateKey: unlock } = await agreementKey(vectors.keys.unlock);
        assert.deepEqual(await openDeviceLock(compact, { cell, kid, unlock }), unb64u(plaintext));
        await assert.rejects(openDeviceLock(compact, { cell: kid.slice(0, 16), kid, unlock }));
        const other = unb64u(vectors.keys.request.thumbprint);
        await assert.rejects(openDeviceLock(compact, { cell, kid: other, unlock }));
        const { privateKey: foreign } = await agreementKey(vectors.keys.ephemeral);
        await assert.rejects(openDeviceLock(compact, { cell, kid, unlock: foreign }));
        const secret = vectors.seals.find((seal) => seal.header.typ === "cell-secret").compact;
        await assert.rejects(openDeviceLock(secret, { cell, kid, unlock }));
    },

    "what is sealed has exactly the header of the vectors, and opens": async (
        vectors,
        load,
        assert,
    ) => {
        const { sealSecret } = await load("answers");
        const { b64u, concat, sha256, unb64u, utf8 } = await load("bytes");
        const { header, plaintext } = vectors.seals[0];
        const compact = await sealSecret(unb64u(plaintext), {
            sam: vectors.keys.transaction.jwk,
            ephemeral: await agreementKey(vectors.keys.ephemeral),
            approval: vectors.keys.approval.jwk,
            txHash: unb64u(askOf(vectors).sha256),
        });
        const [head, empty, iv, ciphertext, tag] = compact.split(".");
        assert.equal(empty, "");
        assert.deepEqual(JSON.parse(atob(head.replaceAll("-", "+").replaceAll("_", "/"))), header);
        // The other side of the agreement, written anew (RFC 7518, 4.6.2).
        const recipient = await agreementKey(vectors.keys.transaction);
        const how = { name: "ECDH", namedCurve: "P-256" };
        const epk = await crypto.subtle.importKey("jwk", header.epk, how, false, []);
        const z = await crypto.subtle.deriveBits(
            { name: "ECDH", public: epk },
            recipient.privateKey,
            256,
        );
        const part = (bytes) => concat(hex(bytes.length.toString(16).padStart(8, "0")), bytes);
        const key = await sha256(
            concat(
                hex("00000001"),
                new Uint8Array(z),
                part(utf8("A256GCM")),
                part(unb64u(header.apu)),
                part(unb64u(header.apv)),
                hex("00000100"),
            ),
        );
        const aes = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
        const opened = await crypto.subtle.decrypt(
            { name: "AES-GCM", iv: unb64u(iv), additionalData: utf8(head) },
            aes,
            concat(unb64u(ciphertext), unb64u(tag)),
        );
        assert.equal(b64u(new Uint8Array(opened)), plaintext);
    },

    "the tree has the roots of the vectors": async (vectors, load, assert) => {
        const { treeRoot } = await load("documents");
        const { b64u, utf8 } = await load("bytes");
        for (const { texts, root } of vectors.list.roots_of_the_first) {
            assert.equal(b64u(await treeRoot(texts.map(utf8))), root);
        }
        assert.equal(b64u(await treeRoot(vectors.list.items.map(utf8))), vectors.list.root);
    },

    "a list is the ask's, whole and in order, or nothing": async (vectors, load, assert) => {
        const { readList } = await load("documents");
        const { unb64u } = await load("bytes");
        const { items, root } = vectors.list;
        const expected = { root: unb64u(root), count: 3, hashAlg: "SHA-256" };
        assert.equal((await readList(items, expected))[1].label, "Приложение 1");
        await assert.rejects(readList(items.slice(0, 2), expected));
        await assert.rejects(readList([items[1], items[0], items[2]], expected));
        await assert.rejects(readList(items, { ...expected, hashAlg: "SHA-512" }));
        await assert.rejects(readList([...items.slice(0, 2), items[2] + " "], expected));
    },

    "an ask is believed under the pinned key, and under its successor": async (
        vectors,
        load,
        assert,
    ) => {
        const { checkDocuments, readAsk, trust } = await load("asks");
        const { unb64u } = await load("bytes");
        const { KS, "the next KS": next } = vectors.keys;
        const signed = await readAsk(askOf(vectors).compact, KS.jwk);
        const pin = unb64u(KS.thumbprint);
        const trusted = await trust(signed, { pin, pinned: KS.jwk, keys: [] });
        const checked = await checkDocuments(trusted, vectors.list.items);
        assert.equal(checked.items.length, 3);
        await assert.rejects(checkDocuments(trusted, []));

        const nextPin = unb64u(next.thumbprint);
        const change = messageOf(vectors, "cell-keys+jwt", undefined).compact;
        const byNext = { ...signed, ks: next.jwk };
        await trust(byNext, { pin, pinned: KS.jwk, keys: [change] });
        await assert.rejects(trust(byNext, { pin, pinned: KS.jwk, keys: [] }));
        await assert.rejects(trust(byNext, { pin, pinned: null, keys: [change] }));
        await assert.rejects(trust(signed, { pin: nextPin, pinned: next.jwk, keys: [change] }));
    },

    "an ask that another key signed is refused, whoever brings the key": async (
        vectors,
        load,
        assert,
    ) => {
        const { readAsk, trust } = await load("asks");
        const bytes = await load("bytes");
        const { KS, ephemeral: stranger } = vectors.keys;
        const key = await signingKey(stranger);
        const header = { alg: "ES256", typ: "cell-ask+jwt", kid: stranger.thumbprint };
        const ask = await forged(header, JSON.stringify(askOf(vectors).claims), key, bytes);
        await assert.rejects(readAsk(ask, KS.jwk));
        const signed = await readAsk(ask, stranger.jwk);
        const known = { pin: bytes.unb64u(KS.thumbprint), pinned: KS.jwk, keys: [] };
        await assert.rejects(trust(signed, known));
    },

    "an ask's claims are exactly those of section 2": async (vectors, load, assert) => {
        const { readAsk } = await load("asks");
        const bytes = await load("bytes");
        const { jwk, thumbprint: kid } = vectors.keys.KS;
        const key = await signingKey(vectors.keys.KS);
        const good = askOf(vectors).claims;
        const read = async (members) => {
            const header = { alg: "ES256", typ: "cell-ask+jwt", kid };
            return readAsk(await forged(header, JSON.stringify(members), key, bytes), jwk);
        };
        await read(good);
        const { text: _text, ...withoutText } = good;
        const bad = [
            withoutText,
            { ...good, more: 1 },
            { ...good, v: 2 },
            { ...good, kind: "pay" },
            { ...good, exp: good.iat - 1 },
            { ...good, documents: null },
            { ...good, hash_alg: null },
            { ...good, number_asked: 1 },
            { ...good, jti: good.jti.toUpperCase() },
            { ...good, fields: {} },
            { ...good, text: { ...good.text, title: "x".repeat(201) } },
            { ...good, sam: { ...good.sam, d: "" } },
            { ...good, sam: { ...good.sam, y: good.sam.x } },
            { ...good, kind: "enrol" },
            { ...good, rp: "shop" },
            { ...good, key_thumbprints: { approval: kid, request: kid, unlock: kid } },
        ];
        for (const members of bad)
            await assert.rejects(read(members), undefined, JSON.stringify(members));
    },

    "locks, labels and the envelope are as derived": async (vectors, load, assert) => {
        const { label, makeRecoveryLock, openEnvelope, openRecoveryLock, pairingId } =
            await load("locks");
        const { rawUuid } = await load("bytes");
        const { labels, envelope, recovery, outer_layer: layer } = vectors.derivations;
        for (const { cell, kind, purpose, id, label: expected } of labels) {
            assert.equal(shown(label(rawUuid(cell), kind, purpose, hex(id))), expected);
        }
        const cell = rawUuid(labels[0].cell);
        assert.equal(await pairingId(hex(envelope.s)), envelope.pairing);
        const opened = await openEnvelope(envelope.sealed, hex(envelope.s), cell);
        assert.equal(shown(opened.cellSecret) + shown(opened.pin), envelope.plaintext);
        await assert.rejects(openEnvelope(envelope.sealed, hex(recovery.c), cell));
        await assert.rejects(openEnvelope(envelope.sealed, hex(envelope.s), hex(envelope.s)));
        assert.equal(
            shown(await openRecoveryLock(recovery.sealed, hex(recovery.c), cell)),
            layer.cs,
        );
        const made = await makeRecoveryLock(hex(layer.cs), hex(recovery.c), cell);
        assert.equal(shown(await openRecoveryLock(made, hex(recovery.c), cell)), layer.cs);
    },

    "codes are 26 Crockford characters, read as people write them": async (
        vectors,
        load,
        assert,
    ) => {
        const { inGroups, secretOf, secretText } = await load("codes");
        for (const { secret, text } of vectors.derivations.secret_texts) {
            assert.equal(secretText(hex(secret)), text);
            assert.equal(shown(secretOf(` ${inGroups(text, 5).toLowerCase()} `)), secret);
            assert.equal(shown(secretOf(text.replaceAll("1", "l").replaceAll("0", "o"))), secret);
        }
        for (const bad of [
            "8".padEnd(26, "Z"),
            "",
            "U".repeat(26),
            "1".repeat(25),
            "１".repeat(26),
        ]) {
            assert.throws(() => secretOf(bad), undefined, bad);
        }
    },

    "QR 2 is read, and nothing beside it": async (vectors, load, assert) => {
        const { readEnvelope } = await load("invitation");
        const { b64u } = await load("bytes");
        const { s, qr_2: scanned, qr_2_existing_cell: existing } = vectors.derivations.envelope;
        assert.equal(shown(readEnvelope(scanned).secret), s);
        assert.equal(readEnvelope(scanned).pin, null);
        assert.equal(b64u(readEnvelope(existing).pin), vectors.keys.KS.thumbprint);
        for (const bad of [
            `${scanned}&x=1`,
            `${scanned}&s=1`,
            "cellkey:pair?",
            "https://evil.example/",
            `${scanned}&k=AA`,
        ]) {
            assert.throws(() => readEnvelope(bad), undefined, bad);
        }
    },

    "challenges, the 12 characters and a further phone's code are as derived": async (
        vectors,
        load,
        assert,
    ) => {
        const answers = await load("answers");
        const { challenges, codes, further_phone: further } = vectors.derivations;
        const jwks = {
            approval: vectors.keys.approval.jwk,
            request: vectors.keys.request.jwk,
            unlock: vectors.keys.unlock.jwk,
        };
        const epk = vectors.keys.ephemeral.jwk;
        const { approval, enrolment, security_key: token } = challenges;
        const named = [hex(token.record), hex(token.kid)];
        assert.equal(shown(await answers.securityKeyChallenge(...named)), token.output);
        const { b64u } = await load("bytes");
        const registration = { attestationObject: b64u(hex(token.attestation_object)) };
        const agreed = await answers.consentChallenge(...named, registration);
        assert.equal(shown(agreed), token.consent);
        assert.equal(
            shown(await answers.approvalChallenge(hex(approval.tx_hash), epk)),
            approval.output,
        );
        const made = (key) => answers.enrolmentChallenge(hex(enrolment.tx_hash), jwks, key);
        assert.equal(shown(await made(epk)), enrolment.output);
        assert.equal(shown(await made(null)), enrolment.output_without_seal);
        assert.equal(await answers.twelveCharacters(codes.twelve.enrolment), codes.twelve.output);
        assert.equal(await answers.furtherPhoneText(jwks), further.text);
        const read = answers.readFurtherPhone(` ${further.text}\n`);
        assert.equal(shown(read), further.approval + further.request + further.unlock);
        assert.equal(answers.readFurtherPhone(further.text.slice(0, -1)), null);
    },

    "the unlock key lies under the PRF's output, for one cell": async (vectors, load, assert) => {
        const { prfSalt, unwrapUnlock, wrapUnlock, wrappingKey } = await load("locks");
        const { rawUuid } = await load("bytes");
        const { cell, salt, prf_output: output, plaintext, sealed } = vectors.derivations.prf;
        assert.equal(shown(await prfSalt(rawUuid(cell))), salt);
        const wrapping = await wrappingKey(hex(output));
        const key = await unwrapUnlock(sealed, wrapping, rawUuid(cell));
        assert.equal(key.extractable, false);
        const again = await wrapUnlock(hex(plaintext), wrapping, rawUuid(cell));
        await unwrapUnlock(again, wrapping, rawUuid(cell));
        await assert.rejects(unwrapUnlock(sealed, wrapping, hex(salt).slice(0, 16)));
        await assert.rejects(unwrapUnlock(sealed, await wrappingKey(hex(salt)), rawUuid(cell)));
    },

    "under a security key's output it lies by another salt and key": async (
        vectors,
        load,
        assert,
    ) => {
        const locks = await load("locks");
        const { rawUuid } = await load("bytes");
        const vector = vectors.derivations.prf_of_a_security_key;
        const { salt, prf_output: output, sealed } = vector;
        const cell = rawUuid(vector.cell);
        assert.equal(shown(await locks.securityKeySalt(cell)), salt);
        await locks.unwrapUnlock(sealed, await locks.securityKeyWrapping(hex(output)), cell);
        const other = await locks.wrappingKey(hex(output));
        await assert.rejects(locks.unwrapUnlock(sealed, other, cell));
    },

    "what the phone says has exactly the claims of the vectors": async (vectors, load, assert) => {
        const answers = await load("answers");
        const { verify } = await load("jose");
        const { unb64u } = await load("bytes");
        const said = async (compact, typ, by) =>
            JSON.parse(await verify(compact, typ, vectors.keys[by].jwk));
        const like = (made, typ, about) => {
            const { claims: expected } = messageOf(vectors, typ, about);
            assert.deepEqual({ ...made, jti: 0, iat: 0 }, { ...expected, jti: 0, iat: 0 });
        };
        const approval = await signingKey(vectors.keys.approval);
        const request = await signingKey(vectors.keys.request);
        const epk = vectors.keys.ephemeral.jwk;
        const [sealed, sealedEnrolment] = vectors.seals.map((seal) => seal.compact);

        const yes = messageOf(vectors, "cell-approval+jwt", undefined).claims;
        const approved = await answers.makeApproval(approval, {
            tx: yes.tx,
            txHash: unb64u(yes.tx_hash),
            sealed,
            epk,
            number: "07",
            webauthn: yes.webauthn,
            now: 1,
        });
        like(await said(approved, "cell-approval+jwt", "approval"), "cell-approval+jwt", undefined);

        const no = messageOf(vectors, "cell-refusal+jwt", undefined).claims;
        const refused = await answers.makeRefusal(request, {
            tx: no.tx,
            txHash: unb64u(no.tx_hash),
            decision: "not_me",
            now: 1,
        });
        like(await said(refused, "cell-refusal+jwt", "request"), "cell-refusal+jwt", undefined);

        for (const about of [undefined, "of a computer's browser"]) {
            const new_ = messageOf(vectors, "cell-enrolment+jwt", about).claims;
            const enrolled = await answers.makeEnrolment(approval, {
                txHash: unb64u(new_.tx_hash),
                keys: new_.keys,
                kind: new_.kind,
                sealed: sealedEnrolment,
                epk,
                webauthn: new_.webauthn,
            });
            assert.deepEqual(await said(enrolled, "cell-enrolment+jwt", "approval"), new_);
        }

        const token = messageOf(vectors, "cell-security-key+jwt", undefined).claims;
        const named = await answers.makeSecurityKey(approval, {
            record: unb64u(token.record),
            ...token.webauthn,
            consent: token.consent,
        });
        assert.deepEqual(await said(named, "cell-security-key+jwt", "approval"), token);

        const proof = messageOf(vectors, "dpop+jwt", "without a body").claims;
        const proved = await answers.requestProof(request, {
            method: proof.htm,
            url: `${proof.htu}?wait=25`,
            body: null,
            now: 1,
        });
        like(await said(proved, "dpop+jwt", "request"), "dpop+jwt", "without a body");
        const { body } = await said(
            await answers.requestProof(request, {
                method: "PUT",
                url: proof.htu,
                body: "{}",
                now: 1,
            }),
            "dpop+jwt",
            "request",
        );
        assert.equal(body, "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
    },

    "keys that sign never leave the browser": async (_vectors, load, assert) => {
        const { newAgreementKey, newSigningKey } = await load("jose");
        for (const { privateKey } of [await newSigningKey(), await newAgreementKey(false)]) {
            await assert.rejects(crypto.subtle.exportKey("pkcs8", privateKey));
        }
    },
};
