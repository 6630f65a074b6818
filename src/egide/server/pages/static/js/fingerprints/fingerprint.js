// @ts-check

import { AnchoredStream } from "./anchored.js";
import { LEAST_SHARE, ReadShare } from "./cut.js";
import { openPicture } from "./decode.js";
import { FingerprintError } from "./errors.js";
import { inspect, sniff, SNIFFED_BYTES } from "./formats.js";
import { openHeic } from "./heic.js";
import { MIN_SIDE_PIXELS, PdqStream } from "./pdq.js";
import { wayToPixels } from "./pixel_check.js";
import { Sha256 } from "./sha256.js";

/** 108 megapixels as telephones count them, such as 12032×9024. */
export const MAX_PIXELS = 110_000_000;
/** A picture's whole file is in memory; an uncompressed PNG of 50 megapixels has some 150 MB. */
export const MAX_PICTURE_BYTES = 256 * 1024 * 1024;
/** Minutes on an old phone. */
export const MAX_VIDEO_BYTES = 8 * 1024 ** 3;
export const MIN_QUALITY = 50;

/** A few milliseconds of work. */
const CHUNK_BYTES = 1 << 18;
/** The share of a picture's progress for reading and digest. */
const DIGEST_SHARE = 0.2;
const DECODED_SHARE = 0.4;
const HASHED_SHARE = 0.9;

/**
 * The fingerprints of one file.
 *
 * @typedef {object} Result
 * @property {"still" | "first-frame" | "digest-only"} kind
 * @property {string | null} pdq 64 hexadecimal digits, or null if no PDQ can be searched for
 * @property {number | null} quality 0–100, even if it is too low for a PDQ
 * @property {string[]} anchored hashes of parts, 64 hexadecimal digits each, sorted, each once; none
 *   without a PDQ, or of a picture with too little detail in its parts
 * @property {string} sha256 of the unchanged file, 64 hexadecimal digits
 * @property {number | null} width in pixels, null if the file was not decoded
 * @property {number | null} height
 * @property {number} [shareRead] below 1, of a file that ends early: how much of it is there
 * @property {("first-frame" | "digest-only" | "low-quality" | "transparent" | "truncated")[]} notes
 */

/**
 * How one file's work is spread over time.
 *
 * @typedef {object} Pace
 * @property {(share: number) => void} progress 0–1
 * @property {() => Promise<void>} breathe lets other work run first, if there is any
 */

/**
 * Fingerprint one file. Nothing of it is kept or sent.
 *
 * @param {Blob} file
 * @param {Pace} pace
 * @returns {Promise<Result>}
 * @throws {FingerprintError}
 */
export async function fingerprintFile(file, pace) {
  const format = sniff(await read(file.slice(0, SNIFFED_BYTES)));
  if (!format) throw new FingerprintError("not-an-image");
  if (format === "video" || format === "picture-unread") return digestOnly(file, pace);
  if (file.size > MAX_PICTURE_BYTES) throw new FingerprintError("too-large");
  const way = format === "heic" ? null : await wayToPixels();
  const bytes = await read(file);
  // Before the digest, so that unusable files are refused at once.
  const inspected = inspect(format, bytes);
  checkSize(inspected.width, inspected.height);
  const sha256 = await digest(file.size, (at) => bytes.subarray(at, at + CHUNK_BYTES), {
    ...pace,
    progress: (share) => pace.progress(share * DIGEST_SHARE),
  });
  const open = way === null ? openHeic(inspected.bytes) : openPicture(inspected, way);
  const picture = await open;
  try {
    pace.progress(DECODED_SHARE);
    checkSize(picture.width, picture.height);
    const cut = inspected.endsEarly ? new ReadShare(picture.width, picture.height) : null;
    const { pdq, quality, anchored } = await hashRows(picture, pace, cut);
    // Too little of the picture is there: its fingerprint would be of a grey surface.
    if (cut && cut.share < LEAST_SHARE) throw new FingerprintError("damaged");
    /** @type {Result["notes"]} */
    const notes = [];
    if (inspected.animated) notes.push("first-frame");
    if (quality < MIN_QUALITY) notes.push("low-quality");
    if (picture.transparent) notes.push("transparent");
    if (cut) notes.push("truncated");
    return {
      kind: inspected.animated ? "first-frame" : "still",
      pdq: quality < MIN_QUALITY ? null : hex(pdq),
      quality,
      anchored,
      sha256,
      width: picture.width,
      height: picture.height,
      ...(cut ? { shareRead: cut.share } : {}),
      notes,
    };
  } finally {
    picture.close();
  }
}

/**
 * @param {Blob} file
 * @param {Pace} pace
 * @returns {Promise<Result>}
 */
async function digestOnly(file, pace) {
  if (file.size > MAX_VIDEO_BYTES) throw new FingerprintError("too-large");
  const sha256 = await digest(file.size, (at) => read(file.slice(at, at + CHUNK_BYTES)), pace);
  const unknown = { pdq: null, quality: null, anchored: [], width: null, height: null };
  return { kind: "digest-only", ...unknown, sha256, notes: ["digest-only"] };
}

/**
 * @param {import("./decode.js").Picture} picture
 * @param {Pace} pace
 * @param {ReadShare | null} cut
 */
async function hashRows(picture, pace, cut) {
  const stream = new PdqStream(picture.width, picture.height);
  const parts = new AnchoredStream(picture.width, picture.height);
  for await (const { rgba, rowCount } of picture.stripes()) {
    stream.push(rgba, rowCount);
    parts.push(rgba, rowCount);
    cut?.push(rgba, rowCount);
    const share = stream.rows / stream.height;
    pace.progress(DECODED_SHARE + (HASHED_SHARE - DECODED_SHARE) * share);
    await pace.breathe();
  }
  const { pdq, quality } = stream.finish();
  const regions = quality < MIN_QUALITY ? [] : await parts.finish(pace.breathe);
  pace.progress(1);
  // In order, so that their places in the list tell nothing.
  const anchored = [...new Set(regions.map(({ straight }) => hex(straight)))].sort();
  return { pdq, quality, anchored };
}

/**
 * @param {number} bytes how many there are
 * @param {(at: number) => Uint8Array | Promise<Uint8Array>} chunkAt
 * @param {Pace} pace
 */
async function digest(bytes, chunkAt, pace) {
  const sha256 = new Sha256();
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    sha256.update(await chunkAt(at));
    pace.progress(Math.min((at + CHUNK_BYTES) / bytes, 1));
    await pace.breathe();
  }
  return hex(sha256.digest());
}

/**
 * @param {Blob} blob
 */
async function read(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (error) {
    // The file was moved or changed since it was chosen, or does not fit into memory.
    throw new FingerprintError(error instanceof RangeError ? "out-of-memory" : "damaged", error);
  }
}

/**
 * @param {number} width
 * @param {number} height
 */
function checkSize(width, height) {
  if (width * height > MAX_PIXELS) throw new FingerprintError("too-many-pixels");
  if (Math.min(width, height) < MIN_SIDE_PIXELS) throw new FingerprintError("too-small");
}

/**
 * @param {Uint8Array} bytes
 */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
