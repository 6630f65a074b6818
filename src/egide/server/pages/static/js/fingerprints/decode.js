// @ts-check

import { FingerprintError } from "./errors.js";
import { FramePicture } from "./frame.js";

/**
 * Pixels of a stripe: about a megabyte. Larger ones are no faster, and block the page if its main
 * thread reads the pictures.
 */
const STRIPE_PIXELS = 1 << 18;
/** Wider canvases fail in some browsers. */
const MAX_TILE_COLUMNS = 8192;

/**
 * Some rows of a picture, opaque, four bytes per pixel; valid until the next stripe is read.
 *
 * @typedef {{ rgba: Uint8Array | Uint8ClampedArray, rowCount: number }} Stripe
 */

/**
 * A picture whose rows can be read from top to bottom.
 *
 * @typedef {object} Picture
 * @property {number} width in pixels
 * @property {number} height in pixels
 * @property {boolean} transparent whether a pixel of the stripes read so far was not opaque
 * @property {() => Iterable<Stripe> | AsyncIterable<Stripe>} stripes
 * @property {() => void} close frees its memory
 */

/**
 * How pixels are read back from a decoded picture.
 *
 * @typedef {"canvas" | "frame"} Way
 */

/**
 * Whether pictures can be decoded in a worker.
 */
export function canDecodeInWorker() {
  if (typeof createImageBitmap !== "function" || typeof OffscreenCanvas !== "function") return false;
  // Some browsers have such a canvas only for WebGL.
  return new OffscreenCanvas(1, 1).getContext("2d") !== null;
}

/**
 * Let the browser decode a picture, and read its pixels in stripes. Memory holds at most the decoded
 * picture and one stripe.
 *
 * @param {import("./formats.js").Inspected} inspected
 * @param {Way} way
 * @returns {Promise<Picture>}
 * @throws {FingerprintError} `damaged`; `out-of-memory` if the browser shrank the picture;
 *   `canvas-distorted` if its pixels cannot be read in this way
 */
export async function openPicture(inspected, way) {
  const source = await decodeBlob(new Blob([/** @type {BlobPart} */ (inspected.bytes)], { type: inspected.type }));
  const { width, height } = source;
  if (inspected.exactSize && (width !== inspected.width || height !== inspected.height)) {
    source.close();
    // With little memory, browsers decode large photos at a reduced size.
    const smaller = width * height < inspected.width * inspected.height;
    throw new FingerprintError(smaller ? "out-of-memory" : "damaged");
  }
  if (way === "canvas") return new CanvasPicture(source, inspected.mayBeTransparent);
  if (source.drawable instanceof ImageBitmap) {
    return new FramePicture(source.drawable, inspected.mayBeTransparent);
  }
  source.close();
  throw new FingerprintError("canvas-distorted");
}

/**
 * @typedef {{ drawable: ImageBitmap | HTMLImageElement, width: number, height: number, close: () => void }} Source
 */

/**
 * @param {Blob} blob
 * @returns {Promise<Source>}
 */
async function decodeBlob(blob) {
  const bitmap = await decodeBitmap(blob);
  if (bitmap) {
    const { width, height } = bitmap;
    return { drawable: bitmap, width, height, close: () => bitmap.close() };
  }
  if (typeof document === "undefined") throw new FingerprintError("damaged");
  const image = new Image();
  const address = URL.createObjectURL(blob);
  const close = () => URL.revokeObjectURL(address);
  image.src = address;
  try {
    await image.decode();
  } catch (error) {
    close();
    throw new FingerprintError("damaged", error);
  }
  return { drawable: image, width: image.naturalWidth, height: image.naturalHeight, close };
}

/**
 * @param {Blob} blob
 * @returns {Promise<ImageBitmap | null>} null if this browser has no such function
 */
async function decodeBitmap(blob) {
  if (typeof createImageBitmap !== "function") return null;
  try {
    // The file has no profile any more; this is for browsers that would assume one.
    return await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch (error) {
    // Browsers before 2021 refuse options with a TypeError.
    if (error instanceof TypeError) return null;
    throw new FingerprintError("damaged", error);
  }
}

/**
 * @implements {Picture}
 */
class CanvasPicture {
  /**
   * @param {Source} source
   * @param {boolean} mayBeTransparent
   */
  constructor(source, mayBeTransparent) {
    this._source = source;
    this._mayBeTransparent = mayBeTransparent;
    this.width = source.width;
    this.height = source.height;
    this.transparent = false;
  }

  close() {
    this._source.close();
  }

  *stripes() {
    const columns = Math.min(this.width, MAX_TILE_COLUMNS);
    const rows = Math.min(this.height, Math.max(1, Math.floor(STRIPE_PIXELS / this.width)));
    const context = newContext(columns, rows);
    const whole = columns < this.width ? new Uint8ClampedArray(4 * this.width * rows) : null;
    for (let top = 0; top < this.height; top += rows) {
      const rowCount = Math.min(rows, this.height - top);
      if (!whole) {
        yield { rgba: this._readTile(context, 0, top, columns, rowCount), rowCount };
        continue;
      }
      for (let left = 0; left < this.width; left += columns) {
        const width = Math.min(columns, this.width - left);
        const tile = this._readTile(context, left, top, width, rowCount);
        for (let row = 0; row < rowCount; row += 1) {
          const line = tile.subarray(4 * row * width, 4 * (row + 1) * width);
          whole.set(line, 4 * (row * this.width + left));
        }
      }
      yield { rgba: whole, rowCount };
    }
  }

  /**
   * Read a rectangle on white.
   *
   * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   */
  _readTile(context, left, top, width, height) {
    context.globalCompositeOperation = "copy";
    context.drawImage(this._source.drawable, left, top, width, height, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    if (!this._mayBeTransparent || isOpaque(data)) return data;
    this.transparent = true;
    context.globalCompositeOperation = "destination-over";
    context.fillRect(0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }
}

/**
 * @param {number} width
 * @param {number} height
 */
function newContext(width, height) {
  const canvas =
    typeof document === "undefined"
      ? new OffscreenCanvas(width, height)
      : Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  if (!context) throw new FingerprintError("out-of-memory");
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#fff";
  return context;
}

/**
 * @param {Uint8ClampedArray} rgba
 */
function isOpaque(rgba) {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return false;
  return true;
}
