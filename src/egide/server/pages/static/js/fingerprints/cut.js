// @ts-check

/*
 * How much of a JPEG that ends early was there. The same as egide.media.jpeg_cut.
 */

/** Of what is registered; below this, the fingerprint is further away than any copy's. */
export const LEAST_SHARE = 0.95;
/** Side of the units that a decoder fills, or of two of them. */
const TILE = 16;
/** What is missing is mid-grey; near its edge only the colours are not. */
const GREY = 128_000;
const TOLERANCE = 1_500;

/** The share of one picture whose rows are pushed from top to bottom. */
export class ReadShare {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   */
  constructor(width, height) {
    this._width = width;
    this._across = Math.ceil(width / TILE);
    this._tiles = this._across * Math.ceil(height / TILE);
    this._rows = 0;
    /** The last tile that is not all grey. */
    this._last = -1;
  }

  /**
   * Take the next rows.
   *
   * @param {Uint8Array | Uint8ClampedArray} rgba opaque pixels, four bytes each, row after row
   * @param {number} rowCount
   */
  push(rgba, rowCount) {
    for (let row = 0; row < rowCount; row += 1) {
      const first = this._across * Math.floor((this._rows + row) / TILE);
      const start = 4 * row * this._width;
      for (let column = this._width - 1; column >= 0; column -= 1) {
        const tile = first + Math.floor(column / TILE);
        if (tile <= this._last) break;
        if (!isGrey(rgba, start + 4 * column)) this._last = tile;
      }
    }
    this._rows += rowCount;
  }

  /** 0 if nothing was there, else below 1: the last part that was may be incomplete. */
  get share() {
    return this._last < 0 ? 0 : Math.max(this._last, 0.5) / this._tiles;
  }
}

/**
 * @param {Uint8Array | Uint8ClampedArray} rgba
 * @param {number} at
 */
function isGrey(rgba, at) {
  const luma = 299 * rgba[at] + 587 * rgba[at + 1] + 114 * rgba[at + 2];
  return Math.abs(luma - GREY) <= TOLERANCE;
}
