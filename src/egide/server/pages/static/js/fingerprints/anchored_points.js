// @ts-check

/*
 * Points of a picture that are found again in its edited copies, each with a size. The same as
 * egide.hashing.anchored_points, in the same order of operations.
 */

/** @typedef {import("./anchored_scales.js").Plane} Plane */

/** Least difference of two degrees of blur, in sixteenths of a level. */
const MIN_CONTRAST = 12;
/** The strongest points that are looked at. */
const MAX_POINTS = 700;
/** Sizes are told apart in this many steps an octave. */
export const SIZE_STEPS = 24;
/** And places in this many a sample. */
export const PLACE_STEPS = 16;
/** Sides are in 64ths of a sample. */
export const SIDE_UNITS = 64;
/**
 * The side of the region of each size. No value before rounding is nearer than a thousandth to a
 * half, so that every browser's powers give the same.
 */
export const SIDES = Array.from({ length: 6 * SIZE_STEPS }, (_, size) =>
  Math.floor(SIDE_UNITS * 16 * 2 ** (size / SIZE_STEPS) + 0.5),
);
/** Of a region's side, in hundredths of the square root of the picture's area. */
const MIN_SHARE = 8;
const MAX_SHARE = 75;
/** At most so many times as curved in one direction as in the other, else it is an edge. */
const EDGE = 16;
const MAX_OFFSET = 1;
const OFFSET_USED = 0.6;
/** Rows that are looked at between two breaths. */
const ROWS = 32;

/**
 * @typedef {object} Point
 * @property {number} octave where it was found
 * @property {number} level 1 to 3
 * @property {number} row in samples of the octave
 * @property {number} column
 * @property {number} y the same in sixteenths of a sample, and more exactly
 * @property {number} x
 * @property {number} size the number of its size, from 0, over all octaves
 * @property {number} strength contrast times side
 */

/**
 * Find the points of a picture.
 *
 * @param {Plane[][]} octaves
 * @param {() => Promise<void>} breathe
 * @returns {Promise<Point[]>} the strongest first
 */
export async function points(octaves, breathe) {
  if (!octaves.length) return [];
  /** @type {Point[]} */
  const found = [];
  const { rows, columns } = octaves[0][0];
  const area = SIDE_UNITS * SIDE_UNITS * rows * columns;
  /** @param {Point} point */
  const keep = (point) => {
    const side = SIDES[point.size];
    const hundredths = 10_000 * side * side;
    if (hundredths >= MIN_SHARE ** 2 * area && hundredths <= MAX_SHARE ** 2 * area) {
      found.push(point);
    }
  };
  for (const [number, octave] of octaves.entries()) {
    const differences = octave.slice(1).map((plane, below) => difference(octave[below], plane));
    const { rows, columns } = octave[0];
    for (let level = 1; level <= 3; level += 1) {
      for (let row = 1; row < rows - 1; row += 1) {
        for (let column = 1; column < columns - 1; column += 1) {
          const at = row * columns + column;
          if (!isExtremum(differences, level, at, columns)) continue;
          const point = fitted(differences, level, row, column, columns);
          if (point) keep({ ...point, octave: number, size: point.size + SIZE_STEPS * number });
        }
        if (row % ROWS === 0) await breathe();
      }
    }
  }
  for (const point of found) point.strength *= SIDES[point.size];
  const order = found.map((point, at) => ({ point, at }));
  order.sort((one, other) => other.point.strength - one.point.strength || one.at - other.at);
  return order.slice(0, MAX_POINTS).map(({ point }) => point);
}

/**
 * @param {Plane} blurred
 * @param {Plane} more
 */
function difference(blurred, more) {
  return more.levels.map((level, at) => level - blurred.levels[at]);
}

/**
 * Whether contrast is enough, and no neighbour in place or blur is larger, or none is smaller.
 *
 * @param {Int32Array[]} differences
 * @param {number} level
 * @param {number} at
 * @param {number} columns
 */
function isExtremum(differences, level, at, columns) {
  const value = differences[level][at];
  if (value < MIN_CONTRAST && value > -MIN_CONTRAST) return false;
  const sign = value > 0 ? 1 : -1;
  const here = sign * value;
  for (let blur = level - 1; blur <= level + 1; blur += 1) {
    const levels = differences[blur];
    for (let start = at - columns; start <= at + columns; start += columns) {
      if (sign * levels[start - 1] > here) return false;
      if (sign * levels[start] > here) return false;
      if (sign * levels[start + 1] > here) return false;
    }
  }
  return true;
}

/**
 * Fit a quadratic around an extremum.
 *
 * @param {Int32Array[]} differences
 * @param {number} level
 * @param {number} row
 * @param {number} column
 * @param {number} columns
 * @returns {Omit<Point, "octave"> | null} its strength is only its contrast, and its size that in
 *   the octave; null if it is an edge, or nearer to a neighbour
 */
function fitted(differences, level, row, column, columns) {
  const middle = row * columns + column;
  /**
   * @param {number} blur
   * @param {number} down
   * @param {number} across
   */
  const d = (blur, down, across) => differences[level + blur][middle + down * columns + across];
  const here = d(0, 0, 0);
  const gx = (d(0, 0, 1) - d(0, 0, -1)) * 0.5;
  const gy = (d(0, 1, 0) - d(0, -1, 0)) * 0.5;
  const gs = (d(1, 0, 0) - d(-1, 0, 0)) * 0.5;
  const xx = d(0, 0, 1) + d(0, 0, -1) - 2 * here;
  const yy = d(0, 1, 0) + d(0, -1, 0) - 2 * here;
  const ss = d(1, 0, 0) + d(-1, 0, 0) - 2 * here;
  const xy = (d(0, 1, 1) - d(0, 1, -1) - d(0, -1, 1) + d(0, -1, -1)) * 0.25;
  const xs = (d(1, 0, 1) - d(1, 0, -1) - d(-1, 0, 1) + d(-1, 0, -1)) * 0.25;
  const ys = (d(1, 1, 0) - d(1, -1, 0) - d(-1, 1, 0) + d(-1, -1, 0)) * 0.25;
  const trace = xx + yy;
  const flat = xx * yy - xy * xy;
  if (flat <= 0 || trace * trace * EDGE >= (EDGE + 1) * (EDGE + 1) * flat) return null;
  const whole =
    xx * (yy * ss - ys * ys) - xy * (xy * ss - ys * xs) + xs * (xy * ys - yy * xs);
  let [across, down, scale] = [0, 0, 0];
  if (whole !== 0) {
    across = gx * (yy * ss - ys * ys) - xy * (gy * ss - ys * gs) + xs * (gy * ys - yy * gs);
    down = xx * (gy * ss - ys * gs) - gx * (xy * ss - ys * xs) + xs * (xy * gs - gy * xs);
    scale = xx * (yy * gs - gy * ys) - xy * (xy * gs - gy * xs) + gx * (xy * ys - yy * xs);
    [across, down, scale] = [-across / whole, -down / whole, -scale / whole];
  }
  if (Math.max(Math.abs(across), Math.abs(down), Math.abs(scale)) > MAX_OFFSET) return null;
  return {
    level,
    row,
    column,
    y: Math.floor(PLACE_STEPS * (row + used(down)) + 0.5),
    x: Math.floor(PLACE_STEPS * (column + used(across)) + 0.5),
    size: Math.floor((SIZE_STEPS / 3) * (level + used(scale)) + 0.5),
    strength: Math.abs(here),
  };
}

/** @param {number} offset */
function used(offset) {
  return Math.min(Math.max(offset, -OFFSET_USED), OFFSET_USED);
}
