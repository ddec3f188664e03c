// What people read, in their language: words/<lang>.json. A sentence has {places}; one that counts
// has a form for each plural category.
// @ts-check

/** @typedef {(name: string, places?: Record<string, string | number>) => string} Translate */
/**
 * @typedef {{ lang: string, t: Translate, moment: (seconds: number) => string, has: (name: string)
 *   => boolean }} Words
 */

export const LANGUAGES = ["ru", "en"];

/** The signer's choice, else what the phone speaks. @param {string | undefined} chosen */
export function languageOf(chosen) {
  const wanted = [chosen, ...navigator.languages].map((lang) => lang?.slice(0, 2));
  return wanted.find((lang) => lang && LANGUAGES.includes(lang)) ?? "en";
}

/** @param {string} lang @returns {Promise<Words>} */
export async function loadWords(lang) {
  const response = await fetch(`/words/${lang}.json`);
  const words = /** @type {Record<string, string | Record<string, string>>} */ (
    await response.json()
  );
  const plural = new Intl.PluralRules(lang);
  // With the zone: the ask's own text may name moments by another clock than this phone's.
  const date = new Intl.DateTimeFormat(lang, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  });
  return {
    lang,
    has: (name) => Object.hasOwn(words, name),
    moment: (seconds) => date.format(new Date(1000 * seconds)),
    t: (name, places = {}) => {
      const found = words[name];
      if (found === undefined) return name;
      const form =
        typeof found === "string" ? found : (found[plural.select(Number(places.n))] ?? found.other);
      return form.replace(/\{(\w+)\}/g, (_, place) => String(places[place] ?? ""));
    },
  };
}
