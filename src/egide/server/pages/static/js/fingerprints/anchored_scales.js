// @ts-check

/*
 * A picture in normal size and in many degrees of blur: brightness in sixteenths of a level, weights
 * in 4096ths, each pass rounded half up. The same as egide.hashing.anchored_scales.
 */

/** Square root of the area, in samples, of the picture that regions are cut from. */
export const SAMPLED_SPAN = 384;
/** The same of the picture in which points are looked for. */
export const SEARCHED_SPAN = 256;
const MIN_SIDE = 16;
const MAX_ASPECT = 10;
const OCTAVES = 5;
const MIN_OCTAVE_SIDE = 12;
const MIN_HALVED_SIDE = 24;
/** The level of an octave with twice the blur of its first. */
const DOUBLED = 3;
/** Weights are in 4096ths: a shift by so many bits, after half of it was added. */
const ONE_BITS = 12;

const KERNELS = [
  [5, 34, 153, 452, 866, 1076, 866, 452, 153, 34, 5],
  [7, 67, 352, 956, 1332, 956, 352, 67, 7],
  [6, 37, 161, 458, 858, 1056, 858, 458, 161, 37, 6],
  [7, 31, 102, 256, 496, 736, 840, 736, 496, 256, 102, 31, 7],
  [3, 11, 33, 83, 176, 315, 478, 613, 672, 613, 478, 315, 176, 83, 33, 11, 3],
  [3, 8, 19, 41, 80, 143, 229, 330, 429, 502, 528, 502, 429, 330, 229, 143, 80, 41, 19, 8, 3],
];

/**
 * Brightness in sixteenths of a level, 0–4080, row after row.
 *
 * @typedef {{ rows: number, columns: number, levels: Int32Array }} Plane
 */

/**
 * @typedef {object} Scales
 * @property {Plane[][]} octaves of each octave its six levels, each half as large as the one before
 * @property {Plane[]} halved the picture that regions are cut from, its half, quarter and so on
 */

/** Brightness of a picture, averaged by blocks if it has over twice the normal size. */
export class Blocks {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   * @returns {Blocks | null} null for a picture with too short a side, or a strip
   */
  static of(width, height) {
    const short = Math.min(width, height);
    if (short < MIN_SIDE || Math.max(width, height) > MAX_ASPECT * short) return null;
    return new Blocks(width, height);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    const span = Math.floor(Math.sqrt(width * height));
    this._width = width;
    this._side = Math.max(Math.floor(span / (2 * SAMPLED_SPAN)), 1);
    const [rows, columns] = [Math.floor(height / this._side), Math.floor(width / this._side)];
    /** @type {Plane} */
    this._plane = { rows, columns, levels: new Int32Array(rows * columns) };
    this._sums = new Int32Array(columns);
    this._rows = 0;
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} rgba
   * @param {number} rowCount
   */
  push(rgba, rowCount) {
    for (let row = 0; row < rowCount; row += 1) this._pushRow(rgba, row * this._width * 4);
  }

  /** @returns {Plane} */
  finish() {
    return this._plane;
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} rgba
   * @param {number} at
   */
  _pushRow(rgba, at) {
    const sums = this._sums;
    const side = this._side;
    for (let block = 0; block < sums.length; block += 1) {
      let sum = 0;
      for (let k = 0; k < side; k += 1, at += 4) {
        sum += 299 * rgba[at] + 587 * rgba[at + 1] + 114 * rgba[at + 2];
      }
      sums[block] += sum;
    }
    this._rows += 1;
    if (this._rows % side === 0) this._keep();
  }

  /** Keep a full row of blocks; what is left below the last one is no part of the picture. */
  _keep() {
    const { columns, levels } = this._plane;
    const first = (this._rows / this._side - 1) * columns;
    const pixels = this._side * this._side;
    this._sums.forEach((sum, block) => {
      levels[first + block] = Math.floor((sum * 32 + 1000 * pixels) / (2000 * pixels));
    });
    this._sums.fill(0);
  }
}

/**
 * Normalise and blur a picture.
 *
 * @param {Plane} picture
 * @param {() => Promise<void>} breathe
 * @returns {Promise<Scales>}
 */
export async function scales(picture, breathe) {
  const sampled = scaled(picture, sizeOf(picture, SAMPLED_SPAN));
  await breathe();
  const searched = scaled(sampled, sizeOf(picture, SEARCHED_SPAN));
  await breathe();
  return { octaves: await octavesOf(searched, breathe), halved: halvedOf(sampled) };
}

/**
 * Rows and columns of a picture of this shape whose area is about `span` squared.
 *
 * @param {Plane} picture
 * @param {number} span
 */
function sizeOf({ rows, columns }, span) {
  const factor = Math.sqrt((span * span) / (rows * columns));
  return [rows, columns].map((side) => Math.max(MIN_SIDE, Math.floor(side * factor + 0.5)));
}

/**
 * Scale by a triangle as wide as two samples of the smaller picture, down and then across.
 *
 * @param {Plane} picture
 * @param {number[]} size rows and columns
 */
function scaled(picture, [rows, columns]) {
  return weighed(weighed(picture, triangles(picture.rows, rows)), triangles(picture.columns, columns));
}

/** @typedef {{ first: number, weights: Int32Array }} Weights of some samples, from `first` on */

/**
 * @param {number} length
 * @param {number} wanted
 * @returns {Weights[]}
 */
function triangles(length, wanted) {
  const half = 2 * Math.max(length, wanted);
  return Array.from({ length: wanted }, (_, k) => {
    const centre = (2 * k + 1) * length;
    const first = Math.max(Math.floor((centre - half) / wanted / 2) - 1, 0);
    const last = Math.min(Math.ceil((centre + half) / wanted / 2) + 1, length - 1);
    const raw = Array.from({ length: last - first + 1 }, (_, at) =>
      Math.max(half - Math.abs((2 * (first + at) + 1) * wanted - centre), 0),
    );
    const total = raw.reduce((sum, each) => sum + each, 0);
    const weights = Int32Array.from(raw, (each) => Math.floor((8192 * each + total) / (2 * total)));
    // What rounding added or took goes to the heaviest, the first of them.
    const left = 4096 - weights.reduce((sum, each) => sum + each, 0);
    weights[weights.indexOf(Math.max(...weights))] += left;
    return { first, weights };
  });
}

/**
 * Weigh lines with their neighbours, and turn the result so that its rows are the columns: two
 * passes weigh columns and rows.
 *
 * @param {Plane} picture
 * @param {Weights[]} lines those to be made
 * @returns {Plane}
 */
function weighed({ rows, columns, levels }, lines) {
  const made = lines.length;
  const out = new Int32Array(columns * made);
  const sums = new Int32Array(columns);
  lines.forEach(({ first, weights }, line) => {
    sums.fill(1 << (ONE_BITS - 1));
    for (let k = 0; k < weights.length; k += 1) {
      const weight = weights[k];
      // Beyond the edge, the last line is repeated.
      const start = Math.min(Math.max(first + k, 0), rows - 1) * columns;
      for (let column = 0; column < columns; column += 1) {
        sums[column] += Math.imul(weight, levels[start + column]);
      }
    }
    for (let column = 0, at = line; column < columns; column += 1, at += made) {
      out[at] = sums[column] >> ONE_BITS;
    }
  });
  return { rows: columns, columns: made, levels: out };
}

/**
 * Blur by one of `KERNELS`, down the columns and then along the rows.
 *
 * @param {Plane} picture
 * @param {number[]} kernel
 */
function blurred(picture, kernel) {
  const weights = Int32Array.from(kernel);
  const reach = (kernel.length - 1) / 2;
  /** @param {number} length */
  const lines = (length) => Array.from({ length }, (_, at) => ({ first: at - reach, weights }));
  return weighed(weighed(picture, lines(picture.rows)), lines(picture.columns));
}

/**
 * @param {Plane} searched
 * @param {() => Promise<void>} breathe
 */
async function octavesOf(searched, breathe) {
  const octaves = [];
  let first = blurred(searched, KERNELS[0]);
  while (octaves.length < OCTAVES && Math.min(first.rows, first.columns) >= MIN_OCTAVE_SIDE) {
    const octave = [first];
    for (const kernel of KERNELS.slice(1)) {
      octave.push(blurred(octave[octave.length - 1], kernel));
      await breathe();
    }
    octaves.push(octave);
    first = everySecond(octave[DOUBLED]);
  }
  return octaves;
}

/**
 * @param {Plane} picture
 * @returns {Plane}
 */
function everySecond(picture) {
  const [rows, columns] = [Math.ceil(picture.rows / 2), Math.ceil(picture.columns / 2)];
  const levels = new Int32Array(rows * columns);
  for (let at = 0; at < levels.length; at += 1) {
    const row = Math.floor(at / columns);
    levels[at] = picture.levels[2 * row * picture.columns + 2 * (at % columns)];
  }
  return { rows, columns, levels };
}

/**
 * A picture and its halves, by weights of 1, 3, 3 and 1 eighths in each direction.
 *
 * @param {Plane} sampled
 */
function halvedOf(sampled) {
  const found = [sampled];
  let last = sampled;
  while (Math.min(last.rows, last.columns) > MIN_HALVED_SIDE && found.length < OCTAVES) {
    last = eighths(eighths(last));
    for (let at = 0; at < last.levels.length; at += 1) last.levels[at] = (last.levels[at] + 32) >> 6;
    found.push(last);
  }
  return found;
}

/**
 * Halve down the columns, eightfold, and turn the result.
 *
 * @param {Plane} picture
 * @returns {Plane}
 */
function eighths({ rows, columns, levels }) {
  const made = Math.ceil(rows / 2);
  const out = new Int32Array(columns * made);
  for (let line = 0; line < made; line += 1) {
    const [before, here, next, after] = [-1, 0, 1, 2].map(
      (k) => Math.min(Math.max(2 * line + k, 0), rows - 1) * columns,
    );
    for (let k = 0; k < columns; k += 1) {
      out[k * made + line] =
        levels[before + k] + 3 * levels[here + k] + 3 * levels[next + k] + levels[after + k];
    }
  }
  return { rows: columns, columns: made, levels: out };
}
