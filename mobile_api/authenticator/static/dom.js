// Elements. What comes from outside becomes text and nothing else: no markup is ever parsed here.
// @ts-check

/** @typedef {string | number | Node | null | undefined | false} Child */
/** @typedef {Record<string, unknown> & { on?: Record<string, (event: any) => unknown> }} Props */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes, listeners (`on`) and children.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Props | null} [props] @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  fill(element, props, children);
  return element;
}

/**
 * The same in SVG.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 */
export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  fill(element, props, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Props | null | undefined} props
 * @param {(Child | Child[])[]} children
 */
function fill(element, props, children) {
  const { on = {}, ...attributes } = props ?? {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text with every character that could deceive made visible. @param {string} text */
export const visible = (text) => text.replace(INVISIBLE, "\ufffd");

/**
 * Text from outside: it keeps to itself whatever direction it has.
 * @param {string} text
 * @param {Props} [props]
 */
export const outside = (text, props = {}) => h("bdi", props, visible(text));

/** @type {Record<string, string>} */
const PATHS = {
  requests: "M4 5h16v11H8l-4 4V5z",
  history: "M12 7v5l3 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  more: "M4 7h16M4 12h16M4 17h16",
  back: "M15 5l-7 7 7 7",
  yes: "M5 13l4 4L19 7",
  no: "M6 6l12 12M18 6L6 18",
  alert: "M12 4l9 16H3L12 4zm0 6v4m0 3h.01",
  phone: "M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zm3 15h2",
  key: "M11 12L20 3M17 6l3 3M12 15a4 4 0 1 1-8 0 4 4 0 0 1 8 0z",
  bell: "M6 17h12l-1.500-2V11a4.500 4.500 0 0 0-9 0v4L6 17zm4 3h4",
  document: "M7 3h7l4 4v14H7V3zm7 0v4h4",
};

/** A picture that says nothing by itself. @param {string} name */
export const icon = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
