// The app's worker: keeps the files of one version, so that the app opens without a network, and
// shows a notification for each push message. It never answers anything: an approval needs the
// page. A classic script, one file, without imports: phones that are years behind run it too.
// @ts-check

/** What a worker knows as `self`, by its type. */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const VERSION = "@version@";
const CACHE = `app-${VERSION}`;
/** What only pairing needs, with a network; and this file, which the browser keeps. */
const NOT_KEPT = ["sw.js", "vendor/qr.js", "vendor/qr-decode.js"];

worker.addEventListener("install", (event) => event.waitUntil(keepFiles()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("message", (event) => {
  if (event.data === "take over") worker.skipWaiting();
});

/**
 * Keep every file that /hashes.txt names, and only with that hash; the worker itself is the
 *   browser's.
 */
async function keepFiles() {
  const response = await fetch("/hashes.txt", { cache: "no-store" });
  const hashes = (await response.clone().text())
    .trim()
    .split("\n")
    .map((line) => line.split("  "));
  const cache = await caches.open(CACHE);
  await cache.put("/hashes.txt", response);
  const others = hashes.filter(([, name]) => !NOT_KEPT.includes(name));
  await Promise.all(
    others.map(([hash, name]) => keepFile(cache, hash, name === "index.html" ? "/" : `/${name}`)),
  );
}

/** @param {Cache} cache @param {string} hash @param {string} path */
async function keepFile(cache, hash, path) {
  const response = await fetch(path, { cache: "no-cache" });
  const digest = await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer());
  const found = Array.from(new Uint8Array(digest), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  if (!response.ok || found !== hash) throw new Error(`${path} is not what /hashes.txt names`);
  await cache.put(path, response);
}

async function takeOver() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

worker.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method === "GET" && origin === worker.location.origin && pathname !== "/sw.js") {
    event.respondWith(kept(event.request, mode === "navigate" ? "/" : pathname));
  }
});

/** @param {Request} request @param {string} path */
async function kept(request, path) {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? fetch(request);
}

// --- push -------------------------------------------------------------------------

// Browsers end a subscription whose messages show nothing: every message shows one, also one that
// cannot be read.
worker.addEventListener("push", (event) => event.waitUntil(show(event.data)));

/** @param {PushMessageData | null} data */
async function show(data) {
  const { title, body, navigate, tag } = read(data);
  const options = {
    body,
    tag,
    data: { navigate },
    icon: "/icons/icon-192.png",
    renotify: Boolean(tag),
  };
  await worker.registration.showNotification(title, options);
  const shown = await worker.registration.getNotifications();
  await worker.navigator.setAppBadge?.(shown.length).catch(() => undefined);
  for (const client of await worker.clients.matchAll({ type: "window" }))
    client.postMessage({ woken: true });
}

/**
 * The form of Declarative Web Push (docs/phone-protocol.md, 8.3).
 * @param {PushMessageData | null} data
 * @returns {{ title: string, body: string, navigate: string, tag?: string }}
 */
function read(data) {
  const ru = worker.navigator.language?.startsWith("ru");
  const neutral = {
    title: ru ? "Запрос ждёт Вас" : "A request waits for you",
    body: "",
    navigate: "/",
  };
  try {
    const { title, body, navigate, tag } = data?.json().notification;
    return {
      ...neutral,
      title: String(title),
      body: String(body),
      navigate: String(navigate),
      tag: String(tag),
    };
  } catch {
    return neutral;
  }
}

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.navigate));
});

/** Go to what the notification names, within this app. @param {string | undefined} navigate */
async function open(navigate) {
  const target = new URL(navigate ?? "/", worker.location.origin);
  const path = target.origin === worker.location.origin ? `/${target.search}` : "/";
  const [client] = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!client) return worker.clients.openWindow(path);
  client.postMessage({ open: target.searchParams.get("tx") });
  return client.focus().catch(() => undefined);
}

worker.addEventListener("pushsubscriptionchange", (event) =>
  event.waitUntil(
    worker.clients.matchAll({ type: "window" }).then((clients) => {
      for (const client of clients) client.postMessage({ subscribe: true });
    }),
  ),
);
