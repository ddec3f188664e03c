// Reads QR codes from the camera: by the browser's own detector where there is one, else by `qr`.
// @ts-check

import { pause } from "./http.js";
import { h } from "./dom.js";
import { CannotAnswer } from "./errors.js";

const LOOK_EVERY_SECONDS = 0.15;
const LONGEST_SIDE = 900;

/** @typedef {(video: HTMLVideoElement) => Promise<string | null>} Look */

/**
 * Show the camera in `place` and give each text that is seen, until `accept` takes one.
 * @param {HTMLElement} place @param {{ label: string, accept: (text: string) => boolean, signal:
 *   AbortSignal }} how
 * @returns {Promise<string | null>} null where it was stopped
 */
export async function scan(place, { label, accept, signal }) {
  const stream = await camera();
  const video = h("video", {
    autoplay: true,
    playsinline: true,
    "aria-label": label,
    "data-testid": "camera",
  });
  video.muted = true;
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  signal.addEventListener("abort", stop, { once: true });
  try {
    video.srcObject = stream;
    place.replaceChildren(video);
    await video.play();
    const look = await looker();
    while (!signal.aborted) {
      const text = await look(video).catch(() => null);
      if (text !== null && accept(text)) return text;
      await pause(LOOK_EVERY_SECONDS, signal);
    }
    return null;
  } finally {
    stop();
    place.replaceChildren();
  }
}

async function camera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new CannotAnswer("error.no-camera");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
  } catch {
    throw new CannotAnswer("error.no-camera");
  }
}

/** @returns {Promise<Look>} */
async function looker() {
  const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
  const formats = await Detector?.getSupportedFormats?.().catch(() => []);
  if (formats?.includes("qr_code")) {
    const detector = new Detector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null;
  }
  const { decodeQR } = await import("./vendor/qr-decode.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
    const [width, height] = [video.videoWidth * scale, video.videoHeight * scale].map(Math.round);
    if (!context || width === 0) return null;
    Object.assign(canvas, { width, height });
    context.drawImage(video, 0, 0, width, height);
    return decodeQR(context.getImageData(0, 0, width, height));
  };
}
