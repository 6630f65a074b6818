// @ts-check

/**
 * Return an element that the page's template contains.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  return checked(document.getElementById(id), kind, `#${id}`);
}

/**
 * Return the first element within another that matches a selector.
 *
 * @template {HTMLElement} T
 * @param {ParentNode} parent
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function within(parent, selector, kind) {
  return checked(parent.querySelector(selector), kind, selector);
}

/**
 * Copy the only element of a `<template>`.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function copyOf(id) {
  const copy = byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true);
  return checked(copy ?? null, HTMLElement, `#${id} > *`);
}

/**
 * @template {HTMLElement} T
 * @param {unknown} found
 * @param {new () => T} kind
 * @param {string} name
 * @returns {T}
 */
function checked(found, kind, name) {
  if (!(found instanceof kind)) throw new TypeError(`the page has no ${name}`);
  return found;
}
