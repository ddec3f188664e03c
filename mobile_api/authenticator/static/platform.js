// What this browser runs on, for the enrolment's `kind`: what the authority's policy may refuse, and
// what the signer reads in the list of phones. It is the app's own word and proves nothing.
// @ts-check

/** @typedef {import("./protocol/answers.js").Kind} Kind */

const PHONES = /Android|iPhone|iPad|iPod|Mobi|Tablet/;
const MOBILE_PLATFORMS = ["Android", "iOS"];

/**
 * A phone or tablet, or anything else: what is not known is a computer, which is refused sooner.
 * @returns {Kind}
 */
export function ownKind() {
  const { userAgent, maxTouchPoints } = navigator;
  const { userAgentData } = /** @type {{ userAgentData?: { platform: string } }} */ (
    /** @type {unknown} */ (navigator)
  );
  const isTablet = /Macintosh/.test(userAgent) && maxTouchPoints > 1; // an iPad says to be a Mac
  const isPhone = isTablet || PHONES.test(userAgent);
  return isPhone || MOBILE_PLATFORMS.includes(userAgentData?.platform ?? "") ? "pwa" : "desktop";
}
