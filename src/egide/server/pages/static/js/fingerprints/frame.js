// @ts-check

import { FingerprintError } from "./errors.js";
import { layOnWhite } from "./white.js";

/** @typedef {import("./decode.js").Picture} Picture */

const STRIPE_PIXELS = 1 << 18;

/**
 * A decoded picture read as a video frame. Anti-tracking modes that change the pixels of a canvas do
 * not change these, because nothing can be drawn on a frame. Chromium ≥ 94, Firefox ≥ 130, Safari
 * ≥ 16.4, in secure contexts.
 *
 * @implements {Picture}
 */
export class FramePicture {
  /**
   * @param {ImageBitmap} bitmap closed here: the frame holds its pixels
   * @param {boolean} mayBeTransparent
   * @throws {FingerprintError} `canvas-distorted`: this browser cannot read it in this way either
   */
  constructor(bitmap, mayBeTransparent) {
    const { width, height } = bitmap;
    try {
      this._frame = new VideoFrame(bitmap, { timestamp: 0 });
    } catch (error) {
      throw new FingerprintError("canvas-distorted", error);
    } finally {
      bitmap.close();
    }
    this._mayBeTransparent = mayBeTransparent;
    this.width = width;
    this.height = height;
    this.transparent = false;
  }

  close() {
    this._frame.close();
  }

  async *stripes() {
    const { width, height } = this;
    // Safari cannot convert to another format, and a conversion may change colours.
    const format = String(this._frame.format);
    if (!/^(RGB|BGR)[AX]$/.test(format)) throw new FingerprintError("canvas-distorted");
    const seeThrough = this._mayBeTransparent && format.endsWith("A");
    const rows = Math.min(height, Math.max(1, Math.floor(STRIPE_PIXELS / width)));
    const stripe = new Uint8Array(4 * width * rows);
    const layout = [{ offset: 0, stride: 4 * width }];
    for (let top = 0; top < height; top += rows) {
      const rowCount = Math.min(rows, height - top);
      const rgba = stripe.subarray(0, 4 * width * rowCount);
      const rect = { x: 0, y: top, width, height: rowCount };
      try {
        await this._frame.copyTo(rgba, { rect, layout });
      } catch (error) {
        throw new FingerprintError("canvas-distorted", error);
      }
      if (format.startsWith("B")) exchangeRedAndBlue(rgba);
      if (seeThrough && layOnWhite(rgba)) this.transparent = true;
      yield { rgba, rowCount };
    }
  }
}

/**
 * @param {Uint8Array} pixels
 */
function exchangeRedAndBlue(pixels) {
  for (let at = 0; at < pixels.length; at += 4) {
    const first = pixels[at];
    pixels[at] = pixels[at + 2];
    pixels[at + 2] = first;
  }
}
