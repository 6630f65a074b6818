// @ts-check

import { damaged, joined, nameAt, viewOf } from "./bytes.js";

/**
 * All other chunks (gAMA, cHRM, sRGB, iCCP, cICP, eXIf, frames of an animation …) are removed. An
 * animated file without its frames shows its still picture.
 */
const KEPT = new Set(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);
const WITH_ALPHA = new Set([4, 6]);

/**
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 *
 * Source: PNG (third edition), sections 5 and 11.
 */
export function inspectPng(bytes) {
  const view = viewOf(bytes);
  if (nameAt(view, 12) !== "IHDR") damaged("no header");
  /** @type {[number, number][]} */
  const kept = [[0, 8]];
  let frames = 1;
  let mayBeTransparent = WITH_ALPHA.has(view.getUint8(25));
  let at = 8;
  let name = "";
  while (name !== "IEND") {
    const end = at + 12 + view.getUint32(at);
    name = nameAt(view, at + 4);
    if (end > bytes.length) damaged("cut in a chunk");
    if (name === "acTL") frames = view.getUint32(at + 8);
    if (name === "tRNS") mayBeTransparent = true;
    if (KEPT.has(name)) kept.push([at, end]);
    at = end;
  }
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    animated: frames > 1,
    mayBeTransparent,
    exactSize: true,
    type: "image/png",
    bytes: joined(bytes, kept),
  };
}
