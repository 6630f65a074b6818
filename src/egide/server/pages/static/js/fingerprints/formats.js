// @ts-check

import { asFingerprintError, FingerprintError } from "./errors.js";
import { inspectBmp } from "./formats/bmp.js";
import { inspectGif } from "./formats/gif.js";
import { inspectAvif, inspectHeic } from "./formats/boxes.js";
import { inspectJpeg } from "./formats/jpeg.js";
import { inspectPng } from "./formats/png.js";
import { inspectWebp } from "./formats/webp.js";
import { startsWith } from "./formats/bytes.js";

/** How many first bytes `sniff` needs. */
export const SNIFFED_BYTES = 512;

/**
 * `picture-unread` is a picture that not all browsers decode, or not alike: TIFF, JPEG XL.
 *
 * @typedef {"jpeg" | "png" | "webp" | "gif" | "avif" | "bmp" | "heic" | "picture-unread" | "video"} Format
 */

/**
 * A picture's file as it is decoded, without metadata that would rotate or recolour its pixels.
 *
 * @typedef {object} Inspected
 * @property {number} width in stored pixels, as the header declares them
 * @property {number} height
 * @property {boolean} animated whether it has more than one frame
 * @property {boolean} mayBeTransparent whether pixels need not be opaque
 * @property {boolean} exactSize whether a decoder gives exactly this width and height
 * @property {boolean} [endsEarly] whether a part of the picture is missing
 * @property {string} type
 * @property {Uint8Array} bytes one contiguous buffer: Firefox fails on a Blob of several parts
 */

const AVIF_BRANDS = new Set(["avif", "avis"]);
const HEIC_BRANDS = new Set(
  ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"],
);
const VIDEO_BOXES = new Set(["moov", "mdat", "wide", "free", "skip", "pnot"]);
const BMP_HEADER_BYTES = new Set([12, 16, 40, 52, 56, 64, 108, 124]);

/** @type {[Format, ...number[]][]} */
const MAGIC = [
  ["jpeg", 0xff, 0xd8, 0xff],
  ["png", 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
  ["gif", 0x47, 0x49, 0x46, 0x38, 0x37, 0x61],
  ["gif", 0x47, 0x49, 0x46, 0x38, 0x39, 0x61],
  ["picture-unread", 0x49, 0x49, 0x2a, 0x00], // TIFF
  ["picture-unread", 0x4d, 0x4d, 0x00, 0x2a],
  ["picture-unread", 0x49, 0x49, 0x2b, 0x00],
  ["picture-unread", 0x4d, 0x4d, 0x00, 0x2b],
  ["picture-unread", 0xff, 0x0a], // JPEG XL
  ["picture-unread", 0, 0, 0, 0x0c, 0x4a, 0x58, 0x4c, 0x20],
  ["video", 0x1a, 0x45, 0xdf, 0xa3], // WebM, Matroska
  ["video", 0x4f, 0x67, 0x67, 0x53], // Ogg
  ["video", 0x46, 0x4c, 0x56, 0x01], // Flash
  ["video", 0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11], // Windows Media
  ["video", 0x00, 0x00, 0x01, 0xba], // MPEG program stream
  ["video", 0x00, 0x00, 0x01, 0xb3],
];

/**
 * Recognize a file's format by its first bytes, never by its name or declared type.
 *
 * @param {Uint8Array} head the first `SNIFFED_BYTES`, or the whole of a shorter file
 * @returns {Format | null} null if they fit no known picture or video format
 */
export function sniff(head) {
  for (const [format, ...magic] of MAGIC) {
    if (startsWith(head, magic)) return format;
  }
  if (head.length < 12) return null;
  const four = text(head, 0);
  const inner = text(head, 8);
  if (four === "RIFF") return inner === "WEBP" ? "webp" : inner === "AVI " ? "video" : null;
  if (text(head, 4) === "ftyp") return sniffBrands(head);
  if (VIDEO_BOXES.has(text(head, 4))) return "video";
  if (four.startsWith("BM") && BMP_HEADER_BYTES.has(head[14])) return "bmp";
  if (head[0] === 0x47 && head[188] === 0x47 && head[376] === 0x47) return "video";
  return null;
}

/**
 * Read a picture's size, and remove metadata that would rotate or recolour it.
 *
 * @param {Exclude<Format, "picture-unread" | "video">} format
 * @param {Uint8Array} bytes the whole file
 * @returns {Inspected}
 * @throws {FingerprintError} `damaged`, `out-of-memory`, `unexpected`
 */
export function inspect(format, bytes) {
  try {
    return INSPECTORS[format](bytes);
  } catch (error) {
    const known = asFingerprintError(error);
    if (known.code !== "unexpected" || !(error instanceof RangeError)) throw known;
    // A DataView throws it for reads beyond the end of the file.
    throw new FingerprintError("damaged", error);
  }
}

const INSPECTORS = {
  jpeg: inspectJpeg,
  png: inspectPng,
  webp: inspectWebp,
  gif: inspectGif,
  avif: inspectAvif,
  heic: inspectHeic,
  bmp: inspectBmp,
};

/**
 * @param {Uint8Array} head
 * @returns {Format}
 */
function sniffBrands(head) {
  const end = Math.min(new DataView(head.buffer, head.byteOffset).getUint32(0), 256);
  const brands = [text(head, 8)];
  for (let at = 16; at < end; at += 4) brands.push(text(head, at));
  if (brands.some((brand) => AVIF_BRANDS.has(brand))) return "avif";
  return brands.some((brand) => HEIC_BRANDS.has(brand)) ? "heic" : "video";
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function text(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
