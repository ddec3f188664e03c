// What somebody could do who runs a script in the app's page: each message by hand, wrong in one way.
// The keys are the phone's own; the messages are put together here, by the modules of the app.
async () => {
  const names = [
    "api", "store", "unlocking", "protocol/answers", "protocol/asks", "protocol/bytes",
    "protocol/jose",
  ];
  const modules = await Promise.all(names.map(name => import(`/${name}.js`)));
  const [api, store, unlocking, answers, asks, bytes, jose] = modules;
  const profile = await api.profile();
  const {b64u, sha256, utf8} = bytes;
  const now = () => Math.floor(Date.now() / 1000);

  const phone = async () => {
    const [cell] = await store.cells();
    return {cell, calls: new api.PhoneCalls(profile, cell.keys.request)};
  };

  // Send as the app does; gives the state, or the name of the problem.
  const send = async (calls, tx, body) => {
    try {
      return (await calls.call("PUT", `transactions/${tx}/approval`, {body, attempts: 1})).state;
    } catch (error) {
      return `${error.problem ?? String(error)}: ${error.detail ?? error.message}`;
    }
  };

  // An assertion by the phone's passkey, or by one whose user was not verified.
  const assertion = async (cell, challenge, userVerification) => {
    const publicKey = {
      rpId: profile.rp_id, challenge, userVerification,
      allowCredentials: [{type: "public-key", id: bytes.unb64u(cell.keys.passkey)}],
    };
    const {rawId, response} = await navigator.credentials.get({publicKey});
    const written = buffer => b64u(new Uint8Array(buffer));
    return {
      id: written(rawId),
      authenticatorData: written(response.authenticatorData),
      clientDataJSON: written(response.clientDataJSON),
      signature: written(response.signature),
    };
  };

  // An approval with everything that it is made of; what `wrong` names is another than it must be.
  const make = async (tx, wrong = {}) => {
    const {cell, calls} = await phone();
    const {ask, ks, lock} = await calls.transaction(tx);
    const signed = await asks.readAsk(ask, ks);
    const txHash = wrong.txHash ? bytes.unb64u(wrong.txHash) : signed.txHash;
    const {approval} = cell.keys;
    const ephemeral = await jose.newAgreementKey(false);
    const wanted = {rpId: profile.rp_id, cell: cell.id, challenge: bytes.random(32)};
    // Without a verified user there is no PRF, so no secret either: what is sealed is another.
    const secret = wrong.secret || wrong.unverified ? bytes.random(32)
      : await unlocking.openLock(
        cell.keys, lock, cell.id, (await unlocking.unlockKey(cell.keys, wanted)).unlock);
    const to = {sam: signed.ask.sam, ephemeral, approval: approval.jwk, txHash};
    const sealed = await answers.sealSecret(secret, to);
    const another = await jose.newAgreementKey(false);
    const challenge = await answers.approvalChallenge(
      wrong.asserted ? bytes.unb64u(wrong.asserted) : txHash,
      (wrong.resealed ? another : ephemeral).jwk);
    const verification = wrong.unverified ? "discouraged" : "required";
    const webauthn = wrong.stripped ? null : await assertion(cell, challenge, verification);
    const key = wrong.key ? await jose.newSigningKey() : approval;
    if (wrong.key === "disguised") key.jwk = approval.jwk;
    const said = {
      tx: wrong.tx ?? tx, txHash, sealed, epk: ephemeral.jwk, number: wrong.number ?? null,
      webauthn, now: now(),
    };
    const made = await answers.makeApproval(key, said);
    const swapped = await answers.sealSecret(secret, {...to, ephemeral: another});
    return {approval: made, sealed: wrong.swapped ? swapped : sealed, challenge: b64u(challenge)};
  };

  globalThis.hand = {
    make,
    approve: async (tx, wrong) => {
      const {approval, sealed} = await make(tx, wrong);
      return send((await phone()).calls, tx, {approval, sealed});
    },
    send: async (tx, {approval, sealed}) => send((await phone()).calls, tx, {approval, sealed}),
    unverified: tx => hand.approve(tx, {unverified: true}),
    // The hash of the ask with other words in it, as a signer would see who was shown those.
    changedText: async tx => {
      const {ask} = await (await phone()).calls.transaction(tx);
      const [header, payload, signature] = ask.split(".");
      const text = bytes.text(bytes.unb64u(payload)).replace("Ромашкин", "Василёк");
      return b64u(await sha256(utf8([header, b64u(utf8(text)), signature].join("."))));
    },
    hashOf: async tx => {
      const {ask} = await (await phone()).calls.transaction(tx);
      return b64u(await sha256(utf8(ask)));
    },
    // The very same request twice, proof and all.
    repeatRequest: async tx => {
      const {cell} = await phone();
      const url = `${profile.mobile_api}/transactions/${tx}`;
      const said = {method: "GET", url, body: null, now: now()};
      const Authorization = `DPoP ${await answers.requestProof(cell.keys.request, said)}`;
      const once = async () => (await fetch(url, {headers: {Authorization}})).status;
      return [await once(), await once()];
    },
  };
}
