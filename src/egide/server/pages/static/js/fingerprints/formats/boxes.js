// @ts-check

import { damaged, nameAt, viewOf } from "./bytes.js";

/*
 * AVIF and HEIC: nested boxes, each with its length and a name of four characters.
 *
 * Source: ISO/IEC 14496-12, section 4.2; ISO/IEC 23008-12, sections 6.5 and 9.
 */

const DATA_BOXES = new Set(["mdat", "idat"]);
const ALPHA_AUXILIARY = "auxid:1";
const ALPHA_AUXILIARY_MPEG = "auxiliary:alpha";

/**
 * @typedef {object} Box
 * @property {string} name
 * @property {number} body where its content begins
 * @property {number} end
 */

/**
 * Copy a file without rotation, mirroring and colour profiles: no picture in the copy has these
 * properties. The meaning of colour values (nclx) stays, since decoding needs it.
 *
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 */
export function inspectAvif(bytes) {
  const copy = bytes.slice();
  const view = viewOf(copy);
  const { shared, properties, size, traits } = readProperties(view);
  const unwanted = new Set();
  properties.forEach(({ name, body }, k) => {
    const profile = name === "colr" && nameAt(view, body) !== "nclx";
    if (profile || name === "irot" || name === "imir") unwanted.add(k + 1);
  });
  for (const box of shared) if (box.name === "ipma") dropAssociations(view, box, unwanted);
  nameStill(copy, view);
  return { ...size, ...traits, exactSize: false, type: "image/avif", bytes: copy };
}

/**
 * Replace the association of a picture with one of these properties by property 0: none.
 *
 * @param {DataView} view
 * @param {Box} box
 * @param {Set<number>} unwanted counted from 1
 */
function dropAssociations(view, box, unwanted) {
  const version = view.getUint8(box.body);
  const wide = view.getUint8(box.body + 3) & 1;
  let at = box.body + 8;
  for (let left = view.getUint32(box.body + 4); left > 0 && at < box.end; left -= 1) {
    at += version ? 4 : 2;
    const count = view.getUint8(at);
    at += 1;
    for (let k = 0; k < count; k += 1, at += wide ? 2 : 1) {
      const index = wide ? view.getUint16(at) & 0x7fff : view.getUint8(at) & 0x7f;
      if (!unwanted.has(index)) continue;
      if (wide) view.setUint16(at, 0);
      else view.setUint8(at, 0);
    }
  }
}

/**
 * Declare a sequence as the still picture that it also holds. Chromium converts the colours of a
 * sequence differently: its hash was 4 bits from that of the same frame as a still.
 *
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function nameStill(bytes, view) {
  const end = Math.min(view.getUint32(0), 256);
  for (let at = 8; at + 4 <= end; at += 4) {
    if (nameAt(view, at) === "avis") bytes[at + 3] = "f".charCodeAt(0);
  }
}

/**
 * HEIC is decoded from the unchanged file, with its rotation: the decoder is the same everywhere,
 * and the server's also rotates.
 *
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 */
export function inspectHeic(bytes) {
  const found = readProperties(viewOf(bytes));
  return { ...found.size, ...found.traits, exactSize: false, type: "image/heic", bytes };
}

/**
 * Find the properties of all pictures in a file, and the size of the largest.
 *
 * @param {DataView} view
 */
function readProperties(view) {
  const top = outermostBoxes(view);
  const metaBox = only(top, "meta");
  // The meta box begins with its version.
  const meta = boxesIn(view, metaBox.body + 4, metaBox.end);
  if (![...top, ...meta].some(({ name }) => DATA_BOXES.has(name))) damaged("no data");
  const sharedBox = only(meta, "iprp");
  const shared = boxesIn(view, sharedBox.body, sharedBox.end);
  const container = only(shared, "ipco");
  const properties = boxesIn(view, container.body, container.end);
  let size = { width: 0, height: 0 };
  for (const { name, body } of properties) {
    if (name !== "ispe") continue;
    const one = { width: view.getUint32(body + 4), height: view.getUint32(body + 8) };
    if (one.width * one.height > size.width * size.height) size = one;
  }
  if (!size.width) damaged("no size");
  const animated = top.some(({ name }) => name === "moov");
  const mayBeTransparent =
    animated || properties.some((one) => one.name === "auxC" && isAlpha(view, one));
  return { shared, properties, size, traits: { animated, mayBeTransparent } };
}

/**
 * The boxes of a whole file. Phones put data after the picture that is not a box, or is truncated.
 *
 * @param {DataView} view
 */
function outermostBoxes(view) {
  /** @type {Box[]} */
  const boxes = [];
  for (let at = 0; at + 8 <= view.byteLength; at = boxes[boxes.length - 1].end) {
    const complete = boxes.some(({ name }) => DATA_BOXES.has(name));
    const box = boxAt(view, at, view.byteLength);
    if (!box && complete) break;
    boxes.push(box ?? damaged("cut in a box"));
  }
  return boxes;
}

/**
 * @param {DataView} view
 * @param {number} start
 * @param {number} end
 */
function boxesIn(view, start, end) {
  /** @type {Box[]} */
  const boxes = [];
  for (let at = start; at + 8 <= end; at = boxes[boxes.length - 1].end) {
    boxes.push(boxAt(view, at, end) ?? damaged("cut in a box"));
  }
  return boxes;
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} last where the box must end at the latest
 * @returns {Box | null} null if there is none
 */
function boxAt(view, at, last) {
  let size = view.getUint32(at);
  let body = at + 8;
  if (size === 1 && at + 16 <= last) {
    size = Number(view.getBigUint64(at + 8));
    body = at + 16;
  }
  if (size === 0) size = last - at;
  if (size < body - at || at + size > last) return null;
  return { name: nameAt(view, at + 4), body, end: at + size };
}

/**
 * @param {Box[]} boxes
 * @param {string} name
 * @returns {Box}
 */
function only(boxes, name) {
  return boxes.find((box) => box.name === name) ?? damaged(`no ${name}`);
}

/**
 * @param {DataView} view
 * @param {Box} property
 */
function isAlpha(view, property) {
  let kind = "";
  for (let at = property.body + 4; at < property.end && view.getUint8(at); at += 1) {
    kind += String.fromCharCode(view.getUint8(at));
  }
  return kind.endsWith(ALPHA_AUXILIARY) || kind.endsWith(ALPHA_AUXILIARY_MPEG);
}
