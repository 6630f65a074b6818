// @ts-check

import { GRID, hashGrid } from "./pdq_grid.js";

/*
 * Streaming PDQ, equal to the reference in every bit, from rows that arrive one after the other.
 *
 * The reference keeps running sums in single precision, so the order of its additions is part of the
 * hash. Math.fround after each operation gives exactly the single-precision result, because a double
 * has more than twice the digits. A box filter along columns needs only the rows in its window, a
 * 128th of the height. Only those are kept, in a ring buffer.
 *
 * Source: ThreatExchange, pdq/cpp/hashing/pdqhashing.cpp and pdq/cpp/downscaling/downscaling.cpp;
 * the same steps as egide.hashing.pdq. docs/decisions/0014-streaming-pdq.md has the numbers.
 */

/**
 * Rows filtered in parallel. Each addition to a running sum waits for the one before; four
 * independent sums take two thirds of the time.
 */
const LANES = 4;
export const MIN_SIDE_PIXELS = 5;

/** The PDQ of one picture whose rows are pushed from top to bottom. */
export class PdqStream {
  /**
   * @param {number} width in pixels, at least 5
   * @param {number} height in pixels, at least 5
   */
  constructor(width, height) {
    if (width < MIN_SIDE_PIXELS || height < MIN_SIDE_PIXELS) {
      throw new RangeError("PDQ needs at least 5 pixels on each side");
    }
    this.width = width;
    this.height = height;
    /** How many rows have been pushed. */
    this.rows = 0;
    this._grid = new Float32Array(GRID * GRID);
    this._whole = width === GRID && height === GRID;
    this._luma = new Lanes(width);
    this._filtered = new Lanes(width);
    this._smooth = new Lanes(width);
    this._samples = new Lanes(GRID);
    this._kept = new Float32Array(GRID);
    this._across = samplePositions(width);
    this._down = samplePositions(height);
    this._first = new ColumnFilter(width, height);
    this._second = new ColumnFilter(GRID, height);
    this._filled = 0;
  }

  /**
   * Take the next rows.
   *
   * @param {Uint8Array | Uint8ClampedArray} rgba opaque pixels, four bytes each, row after row
   * @param {number} rowCount
   */
  push(rgba, rowCount) {
    if (this.rows + rowCount > this.height) throw new RangeError("more rows than the height");
    if (rgba.length < rowCount * this.width * 4) throw new RangeError("fewer pixels than said");
    for (let row = 0; row < rowCount; row += 1) this._pushRow(rgba, row * this.width * 4);
  }

  /**
   * @returns {import("./pdq_grid.js").Pdq}
   */
  finish() {
    if (this.rows !== this.height) throw new RangeError("fewer rows than the height");
    if (!this._whole) {
      this._filterRows();
      while (this._first.drain(this._smooth.next)) this._takeSmooth();
      this._sampleRows();
      while (this._filled < GRID && this._second.drain(this._kept)) this._keepRow();
    }
    return hashGrid(this._grid);
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} rgba
   * @param {number} start
   */
  _pushRow(rgba, start) {
    const luma = this._luma.next;
    for (let column = 0, at = start; column < luma.length; column += 1, at += 4) {
      // Integer weights in thousandths are exact, so only the division rounds; equal to the
      // reference for each of the 2²⁴ colours.
      luma[column] = (299 * rgba[at] + 587 * rgba[at + 1] + 114 * rgba[at + 2]) / 1000;
    }
    if (this._whole) {
      this._grid.set(luma, this.rows * GRID);
    } else {
      this._luma.count += 1;
      if (this._luma.count === LANES) this._filterRows();
    }
    this.rows += 1;
  }

  /** Filter the waiting rows along themselves, then down the columns. */
  _filterRows() {
    filterRows(this._luma.all, this._filtered.all);
    for (let lane = 0; lane < this._luma.count; lane += 1) {
      if (this._first.enter(this._filtered.rows[lane], this._smooth.next)) this._takeSmooth();
    }
    this._luma.count = 0;
  }

  /** Take a row after one pass in each direction. */
  _takeSmooth() {
    this._smooth.count += 1;
    if (this._smooth.count === LANES) this._sampleRows();
  }

  /** Filter those rows once more, keeping 64 samples of each. */
  _sampleRows() {
    sampleRows(this._smooth.all, this._across, this._samples.all);
    for (let lane = 0; lane < this._smooth.count; lane += 1) {
      if (this._second.enter(this._samples.rows[lane], this._kept)) this._keepRow();
    }
    this._smooth.count = 0;
  }

  /** Store a row after both passes, as often as it is sampled. */
  _keepRow() {
    const position = this._second.position - 1;
    while (this._down[this._filled] === position) {
      this._grid.set(this._kept, this._filled * GRID);
      this._filled += 1;
    }
  }
}

/** Rows that are filtered in parallel. */
class Lanes {
  /**
   * @param {number} length of a row
   */
  constructor(length) {
    /** All rows, one after the other. */
    this.all = new Float32Array(LANES * length);
    this.rows = Array.from({ length: LANES }, (_, lane) =>
      this.all.subarray(lane * length, (lane + 1) * length),
    );
    /** How many rows are filled. */
    this.count = 0;
  }

  /** The row to fill next. */
  get next() {
    return this.rows[this.count];
  }
}

/** One pass of the box filter down the columns, a row at a time. */
class ColumnFilter {
  /**
   * @param {number} lines how many columns
   * @param {number} length how many rows will be pushed
   */
  constructor(lines, length) {
    this._lines = lines;
    this._length = length;
    this._window = windowOf(length);
    this._ahead = aheadOf(this._window);
    this._ring = new Float32Array(this._window * lines);
    this._totals = new Float32Array(lines);
    this._entered = 0;
    this._count = 0;
    /** How many rows have been returned. */
    this.position = 0;
  }

  /**
   * @param {Float32Array} row the next row
   * @param {Float32Array} out receives a filtered row
   * @returns {boolean} whether a row was written
   */
  enter(row, out) {
    const totals = this._totals;
    const ring = this._ring;
    let slot = (this._entered % this._window) * this._lines;
    this._count = Math.min(this._count + 1, this._window);
    const ready = this._entered >= this._ahead;
    this._entered += 1;
    const count = this._count;
    // An empty place of the ring is 0, and subtracting 0 changes no sum.
    for (let line = 0; line < totals.length; line += 1, slot += 1) {
      const level = row[line];
      const total = Math.fround(Math.fround(totals[line] + level) - ring[slot]);
      ring[slot] = level;
      totals[line] = total;
      if (ready) out[line] = total / count;
    }
    if (ready) this.position += 1;
    return ready;
  }

  /**
   * After the last row, return the next row that is still inside.
   *
   * @param {Float32Array} out
   * @returns {boolean} whether a row was written
   */
  drain(out) {
    if (this.position === this._length) return false;
    const totals = this._totals;
    const ring = this._ring;
    let slot = (this._entered % this._window) * this._lines;
    this._entered += 1;
    this._count -= 1;
    for (let line = 0; line < totals.length; line += 1, slot += 1) {
      totals[line] -= ring[slot];
      out[line] = totals[line] / this._count;
    }
    this.position += 1;
    return true;
  }
}

/**
 * One pass of the box filter along each row, whose window shrinks at the ends.
 *
 * @param {Float32Array} source the rows of all lanes
 * @param {Float32Array} out as long as `source`
 */
function filterRows(source, out) {
  const length = source.length / LANES;
  const window = windowOf(length);
  const ahead = aheadOf(window);
  const [second, third, fourth] = [length, 2 * length, 3 * length];
  let a = Math.fround(0);
  let b = a;
  let c = a;
  let d = a;
  for (let entering = 0; entering < window; entering += 1) {
    a = Math.fround(a + source[entering]);
    b = Math.fround(b + source[second + entering]);
    c = Math.fround(c + source[third + entering]);
    d = Math.fround(d + source[fourth + entering]);
    if (entering >= ahead) put(out, length, entering - ahead, entering + 1, a, b, c, d);
  }
  for (let entering = window, leaving = 0; entering < length; entering += 1, leaving += 1) {
    a = Math.fround(Math.fround(a + source[entering]) - source[leaving]);
    b = Math.fround(Math.fround(b + source[second + entering]) - source[second + leaving]);
    c = Math.fround(Math.fround(c + source[third + entering]) - source[third + leaving]);
    d = Math.fround(Math.fround(d + source[fourth + entering]) - source[fourth + leaving]);
    put(out, length, entering - ahead, window, a, b, c, d);
  }
  for (let leaving = length - window, left = window - 1; left >= window - ahead; leaving += 1) {
    a = Math.fround(a - source[leaving]);
    b = Math.fround(b - source[second + leaving]);
    c = Math.fround(c - source[third + leaving]);
    d = Math.fround(d - source[fourth + leaving]);
    put(out, length, length - ahead + window - 1 - left, left, a, b, c, d);
    left -= 1;
  }
}

/**
 * @param {Float32Array} out
 * @param {number} length of a row
 * @param {number} at
 * @param {number} count of pixels in each sum
 * @param {number} a
 * @param {number} b
 * @param {number} c
 * @param {number} d
 */
function put(out, length, at, count, a, b, c, d) {
  out[at] = a / count;
  out[length + at] = b / count;
  out[2 * length + at] = c / count;
  out[3 * length + at] = d / count;
}

/**
 * The same pass, keeping only some positions.
 *
 * @param {Float32Array} source the rows of all lanes
 * @param {Int32Array} positions 64, ascending, repeats allowed
 * @param {Float32Array} out 64 samples for each lane
 */
function sampleRows(source, positions, out) {
  const length = source.length / LANES;
  const window = windowOf(length);
  const ahead = aheadOf(window);
  const [second, third, fourth] = [length, 2 * length, 3 * length];
  let a = Math.fround(0);
  let b = a;
  let c = a;
  let d = a;
  let entering = 0;
  for (let kept = 0; kept < GRID; kept += 1) {
    const last = positions[kept] + ahead;
    for (; entering <= last; entering += 1) {
      if (entering < length) {
        a = Math.fround(a + source[entering]);
        b = Math.fround(b + source[second + entering]);
        c = Math.fround(c + source[third + entering]);
        d = Math.fround(d + source[fourth + entering]);
      }
      const leaving = entering - window;
      if (leaving >= 0) {
        a = Math.fround(a - source[leaving]);
        b = Math.fround(b - source[second + leaving]);
        c = Math.fround(c - source[third + leaving]);
        d = Math.fround(d - source[fourth + leaving]);
      }
    }
    const count = Math.min(entering, length) - Math.max(entering - window, 0);
    put(out, GRID, kept, count, a, b, c, d);
  }
}

/**
 * The width in pixels of one pass of the box filter along a side of `length` pixels.
 *
 * @param {number} length
 */
function windowOf(length) {
  return Math.floor((length + 2 * GRID - 1) / (2 * GRID));
}

/**
 * How far the window reaches beyond its pixel.
 *
 * @param {number} window
 */
function aheadOf(window) {
  return Math.floor((window + 2) / 2) - 1;
}

/**
 * The 64 sampled pixels of a filtered side: the centres of 64 equal parts.
 *
 * @param {number} length
 */
function samplePositions(length) {
  return Int32Array.from({ length: GRID }, (_, k) => Math.floor(((2 * k + 1) * length) / (2 * GRID)));
}
