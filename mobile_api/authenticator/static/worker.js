// The service worker's registration, and where the app runs: installed, or in a browser's tab.
// @ts-check

const WORKER = "/sw.js";

/** Whether this is an iPhone's or iPad's browser. */
const isIos = () =>
  /iPhone|iPad|iPod/.test(navigator.userAgent) ||
  (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);

/** Whether the app runs from the home screen. */
export const isInstalled = () =>
  matchMedia("(display-mode: standalone), (display-mode: minimal-ui), (display-mode: fullscreen)")
    .matches || /** @type {{ standalone?: boolean }} */ (navigator).standalone === true;

/** On iOS a tab has another memory than the installed app, and no push: nothing is paired there. */
export const mustInstallFirst = () => isIos() && !isInstalled();

/**
 * `register` takes a TrustedScriptURL where scripts are guarded (Trusted Types).
 * @returns {string}
 */
function workerAddress() {
  const { trustedTypes } = /** @type {any} */ (globalThis);
  if (!trustedTypes) return WORKER;
  const only = { createScriptURL: (/** @type {string} */ url) => (url === WORKER ? url : null) };
  return trustedTypes.createPolicy("cellkey-worker", only).createScriptURL(WORKER);
}

/**
 * @param {{ onUpdate: (worker: ServiceWorker) => void, onMessage: (message: any) => void }} tell
 */
export async function registerWorker({ onUpdate, onMessage }) {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  let had = serviceWorker.controller !== null;
  serviceWorker.addEventListener("message", (event) => onMessage(event.data));
  // The first worker keeps the files that this page has; each that follows brings others.
  serviceWorker.addEventListener("controllerchange", () => {
    if (had) location.reload();
    had = true;
  });
  const registration = await serviceWorker.register(workerAddress(), { updateViaCache: "none" });
  const look = (/** @type {ServiceWorker | null} */ worker) => {
    if (worker?.state === "installed" && serviceWorker.controller) onUpdate(worker);
  };
  look(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => look(worker));
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") registration.update().catch(() => undefined);
  });
}
