// What this origin keeps in the browser, as [{where, text, hex}]: hex says that text is bytes.
async () => {
  const found = [];
  const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
  const text = (where, value) => found.push({where, text: String(value), hex: false});
  const bytes = (where, value) => found.push({where, text: hex(value), hex: true});

  const note = async (where, value, seen) => {
    if (value === null || value === undefined) return;
    if (typeof value !== "object") return text(where, value);
    if (seen.has(value)) return;
    seen.add(value);
    if (value instanceof CryptoKey) {
      const open = value.extractable && value.type !== "public";
      return text(where, open ? "extractable key" : "key");
    }
    if (value instanceof ArrayBuffer) return bytes(where, new Uint8Array(value));
    if (ArrayBuffer.isView(value)) {
      return bytes(where, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    }
    if (value instanceof Blob) return bytes(where, new Uint8Array(await value.arrayBuffer()));
    const members = value instanceof Map || value instanceof Set
      ? Array.from(value.entries()) : Object.entries(value);
    for (const [name, member] of members) {
      await note(where, name, seen);
      await note(`${where}.${name}`, member, seen);
    }
  };

  const done = request => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  for (const {name} of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const objects = database.transaction(store).objectStore(store);
      const where = `IndexedDB ${name}/${store}`;
      const [keys, values] = await Promise.all([done(objects.getAllKeys()), done(objects.getAll())]);
      await note(where, keys, new Set());
      for (const [place, value] of values.entries()) {
        await note(`${where}/${String(keys[place])}`, value, new Set());
      }
    }
    database.close();
  }
  await note("localStorage", {...localStorage}, new Set());
  await note("sessionStorage", {...sessionStorage}, new Set());
  await note("history", history.state, new Set());
  text("address", location.href);
  text("name", window.name);
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      text(`cache ${name}`, request.url);
      const response = await cache.match(request);
      bytes(`cache ${name} ${request.url}`, new Uint8Array(await response.arrayBuffer()));
    }
  }
  return found;
}
