// @ts-check

import { PLACE_STEPS, SIDE_UNITS, SIDES, SIZE_STEPS } from "./anchored_points.js";
import { SAMPLED_SPAN, SEARCHED_SPAN } from "./anchored_scales.js";

/*
 * Regions of a picture, each turned by the direction of its point, and their hashes. The same as
 * egide.hashing.anchored_regions, in the same order of operations.
 */

/**
 * @typedef {import("./anchored_scales.js").Plane} Plane
 * @typedef {import("./anchored_scales.js").Scales} Scales
 * @typedef {import("./anchored_points.js").Point} Point
 */

/**
 * The hashes of one region as it is and mirrored, 32 bytes each.
 *
 * @typedef {{ straight: Uint8Array, mirrored: Uint8Array }} RegionCodes
 */

/**
 * A region's place, in 16ths of a sample of the picture searched, its size and its direction.
 *
 * @typedef {{ y: number, x: number, size: number, direction: number }} Region
 */

/** Directions are told apart in so many steps a turn. */
const TURN = 512;
const DIRECTIONS = 36;
/** Of one point. */
const MAX_DIRECTIONS = 4;
/** Rows and columns of samples in a region. */
const GRID = 32;
const FREQUENCIES = 16;
const BITS = FREQUENCIES * FREQUENCIES;
/** Hundredths: a direction at least so strong as the strongest counts too. */
const SHARE_OF_PEAK = 80;
/** A region is drawn, not photographed, if four of its 64 bins of brightness hold more samples. */
const FEW_LEVELS = 512;
/** In sixteenths of a level. */
const LEVELS_A_BIN = 64;
const ALIKE_SIZES = 10;
const ALIKE_DIRECTIONS = 42;
const ALIKE_PLACES = 32;

// Before rounding, none of these values is nearer than 0.0004 to a half, so that every browser's
// powers and cosines give the same.
/** Squares of the radius around a point in which its direction is looked for. */
const RADII = Array.from({ length: 32 }, (_, size) =>
  Math.floor((8.8 * 2 ** (size / SIZE_STEPS)) ** 2 + 0.5),
);
/** Every tenth degree, in 65536ths. */
const TENS = rounded(9, 65536, (k) => Math.cos((k * Math.PI) / 18));
const TENS_SINES = rounded(9, 65536, (k) => Math.sin((k * Math.PI) / 18));
/** Cosines and sines of directions are in 16384ths. */
const ONE = 16384;
const COSINES = rounded(TURN, ONE, (k) => Math.cos((2 * Math.PI * k) / TURN));
const SINES = rounded(TURN, ONE, (k) => Math.sin((2 * Math.PI * k) / TURN));
/** The used rows of the cosine transform in 1024ths, 16×32. */
const WAVES = rounded(FREQUENCIES * GRID, 1024, (k) =>
  Math.cos((Math.PI / (2 * GRID)) * (Math.floor(k / GRID) + 1) * (2 * (k % GRID) + 1)),
);

/**
 * @param {number} length
 * @param {number} one
 * @param {(k: number) => number} value
 */
function rounded(length, one, value) {
  return Int32Array.from({ length }, (_, k) => Math.floor(one * value(k) + 0.5));
}

/**
 * The hashes of a picture's regions, the strongest point's first.
 *
 * @param {Scales} scales
 * @param {Point[]} points
 * @param {number} most regions to keep
 * @param {() => Promise<void>} breathe
 * @returns {Promise<RegionCodes[]>}
 */
export async function regionCodes(scales, points, most, breathe) {
  /** @type {Region[]} */
  const kept = [];
  const codes = [];
  for (const { octave, level, row, column, y, x, size } of points) {
    await breathe();
    const square = RADII[size - SIZE_STEPS * octave];
    for (const direction of directions(scales.octaves[octave][level], row, column, square)) {
      const half = PLACE_STEPS / 2;
      const region = { y: y * 2 ** octave + half, x: x * 2 ** octave + half, size, direction };
      if (isBeside(region, kept)) continue;
      const { patch, fine } = cut(scales, region);
      const code = isDrawn(fine) ? null : codesOf(patch);
      if (!code) continue;
      kept.push(region);
      codes.push(code);
      if (codes.length === most) return codes;
    }
  }
  return codes;
}

/**
 * @param {Plane} plane
 * @param {number} row
 * @param {number} column
 * @param {number} square of the radius
 * @returns {number[]} directions in 512ths of a turn, clockwise from the right, the strongest first
 */
function directions(plane, row, column, square) {
  const rises = risesAround(plane, row, column, square);
  /** @param {number} place */
  const rise = (place) => rises[(place + DIRECTIONS) % DIRECTIONS];
  const smooth = rises.map(
    (_, k) => 6 * rises[k] + 4 * (rise(k - 1) + rise(k + 1)) + rise(k - 2) + rise(k + 2),
  );
  /** @param {number} place */
  const height = (place) => smooth[(place + DIRECTIONS) % DIRECTIONS];
  const least = SHARE_OF_PEAK * Math.max(...smooth);
  const peaks = [...smooth.keys()].filter(
    (k) =>
      smooth[k] > height(k - 1) && smooth[k] >= height(k + 1) && smooth[k] * 100 >= least,
  );
  peaks.sort((one, other) => smooth[other] - smooth[one] || one - other);
  return peaks.slice(0, MAX_DIRECTIONS).map((k) => {
    const [before, after] = [height(k - 1), height(k + 1)];
    const offset = (0.5 * (before - after)) / (before - 2 * smooth[k] + after);
    return Math.floor(((k + 0.5 + offset) * TURN) / DIRECTIONS + 0.5) % TURN;
  });
}

/**
 * How much brightness rises around a point in each of 36 directions.
 *
 * @param {Plane} plane
 * @param {number} row
 * @param {number} column
 * @param {number} square
 */
function risesAround({ rows, columns, levels }, row, column, square) {
  const found = new Float64Array(DIRECTIONS);
  const reach = Math.floor(Math.sqrt(square)) + 1;
  for (let down = -reach; down <= reach; down += 1) {
    const y = row + down;
    if (y < 1 || y > rows - 2) continue;
    for (let across = -reach; across <= reach; across += 1) {
      const x = column + across;
      const apart = down * down + across * across;
      if (x < 1 || x > columns - 2 || apart >= square) continue;
      const at = y * columns + x;
      const riseX = levels[at + 1] - levels[at - 1];
      const riseY = levels[at + columns] - levels[at - columns];
      const length = Math.floor(Math.sqrt(riseX * riseX + riseY * riseY));
      if (length === 0) continue;
      const share = 1 - apart / square;
      found[binOf(riseX, riseY)] += Math.floor(length * share * share * 16 + 0.5);
    }
  }
  return found;
}

/**
 * Which of 36 directions a rise points to: bin k is from 10k° up to 10(k + 1)°.
 *
 * @param {number} across
 * @param {number} down
 */
function binOf(across, down) {
  let [quarter, ahead, aside] = [3, -down, across];
  if (across > 0 && down >= 0) [quarter, ahead, aside] = [0, across, down];
  else if (across <= 0 && down > 0) [quarter, ahead, aside] = [1, down, -across];
  else if (across < 0 && down <= 0) [quarter, ahead, aside] = [2, -across, -down];
  let step = 0;
  while (step < 8 && aside * TENS[step + 1] >= ahead * TENS_SINES[step + 1]) step += 1;
  return 9 * quarter + step;
}

/**
 * @param {Region} region
 * @param {Region[]} kept
 */
function isBeside(region, kept) {
  return kept.some((other) => {
    if (Math.abs(region.size - other.size) > ALIKE_SIZES) return false;
    const turned = Math.abs(region.direction - other.direction);
    if (Math.min(turned, TURN - turned) > ALIKE_DIRECTIONS) return false;
    const [down, across] = [region.y - other.y, region.x - other.x];
    const side = SIDES[Math.min(region.size, other.size)];
    return (down * down + across * across) * ALIKE_PLACES * ALIKE_PLACES < side * side;
  });
}

/**
 * Sample a region, turned so that its direction points to the right.
 *
 * @param {Scales} scales
 * @param {Region} region
 * @returns {{ patch: Int32Array, fine: Int32Array }} in sixteenths of a level, 32×32: the region; and of
 *   the picture before it was halved the samples nearest to its own
 */
function cut(scales, { y, x, size, direction }) {
  const number = pictureOfSize(size, scales.halved.length);
  const { rows, columns, levels } = scales.halved[number];
  const [searched, whole] = [scales.octaves[0][0], scales.halved[0]];
  const shrunk = 0.5 ** number;
  const middleY = (((y / PLACE_STEPS) * whole.rows) / searched.rows) * shrunk - 0.5;
  const middleX = (((x / PLACE_STEPS) * whole.columns) / searched.columns) * shrunk - 0.5;
  const step = (((SIDES[size] / SIDE_UNITS) * (SAMPLED_SPAN / SEARCHED_SPAN)) / GRID) * shrunk;
  const [cosine, sine] = [(COSINES[direction] / ONE) * step, (SINES[direction] / ONE) * step];
  const patch = new Int32Array(GRID * GRID);
  const fine = new Int32Array(GRID * GRID);
  for (let at = 0; at < patch.length; at += 1) {
    const down = Math.floor(at / GRID) - (GRID - 1) / 2;
    const across = (at % GRID) - (GRID - 1) / 2;
    const atX = inside(middleX + cosine * across - sine * down, columns);
    const atY = inside(middleY + sine * across + cosine * down, rows);
    const column = Math.min(Math.floor(atX), columns - 2);
    const row = Math.min(Math.floor(atY), rows - 2);
    const [partX, partY] = [atX - column, atY - row];
    const above = row * columns + column;
    const below = above + columns;
    const upper = levels[above] + (levels[above + 1] - levels[above]) * partX;
    const lower = levels[below] + (levels[below + 1] - levels[below]) * partX;
    patch[at] = Math.floor(upper + (lower - upper) * partY + 0.5);
    const fineX = Math.min(Math.floor((atX + 0.5) / shrunk), whole.columns - 1);
    const fineY = Math.min(Math.floor((atY + 0.5) / shrunk), whole.rows - 1);
    fine[at] = whole.levels[fineY * whole.columns + fineX];
  }
  return { patch, fine };
}

/**
 * Which of the halved pictures to sample: that whose samples are nearest to the region's.
 *
 * @param {number} size
 * @param {number} pictures
 */
function pictureOfSize(size, pictures) {
  const ratio = SAMPLED_SPAN * SIDES[size];
  const step = SEARCHED_SPAN * SIDE_UNITS * GRID;
  let number = 0;
  while (number < pictures - 1 && ratio * ratio >= 2 * 4 ** number * step * step) number += 1;
  return number;
}

/**
 * Mirror a place beyond the edge back into the picture; one still outside goes to the edge.
 *
 * @param {number} at
 * @param {number} length
 */
function inside(at, length) {
  const place = Math.abs(at);
  return Math.max(place > length - 1 ? 2 * (length - 1) - place : place, 0);
}

/**
 * Whether a region has few levels of brightness: text, logos, frames. Seen in samples that are not
 * blurred: blur makes many levels of a black letter on white.
 *
 * @param {Int32Array} fine
 */
function isDrawn(fine) {
  const bins = new Int32Array(64);
  for (const level of fine) bins[Math.floor(level / LEVELS_A_BIN)] += 1;
  bins.sort();
  return bins[60] + bins[61] + bins[62] + bins[63] > FEW_LEVELS;
}

/**
 * Hash a region: the signs of 16×16 cosine coefficients against their median.
 *
 * @param {Int32Array} patch
 * @returns {RegionCodes | null} null if not as many coefficients are above the median as below
 */
function codesOf(patch) {
  const half = new Int32Array(FREQUENCIES * GRID);
  for (let line = 0; line < FREQUENCIES; line += 1) {
    for (let place = 0; place < GRID; place += 1) {
      const wave = WAVES[line * GRID + place];
      for (let column = 0; column < GRID; column += 1) {
        half[line * GRID + column] += Math.imul(wave, patch[place * GRID + column]);
      }
    }
  }
  const straight = new Float64Array(BITS);
  const mirrored = new Float64Array(BITS);
  for (let at = 0; at < BITS; at += 1) {
    const line = Math.floor(at / FREQUENCIES);
    const wave = (at % FREQUENCIES) * GRID;
    let total = 0;
    // Sums reach 2⁴²: whole numbers in doubles.
    for (let k = 0; k < GRID; k += 1) total += half[line * GRID + k] * WAVES[wave + k];
    straight[at] = total;
    // Upside down, every second of the row frequencies changes its sign.
    mirrored[at] = line % 2 ? total : -total;
  }
  const [code, other] = [signs(straight), signs(mirrored)];
  return code && other && { straight: code, mirrored: other };
}

/**
 * @param {Float64Array} coefficients
 * @returns {Uint8Array | null} most significant bit first
 */
function signs(coefficients) {
  const median = coefficients.slice().sort()[BITS / 2 - 1];
  const code = new Uint8Array(BITS / 8);
  let ones = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    if (coefficients[bit] <= median) continue;
    ones += 1;
    code[bit >> 3] |= 128 >> (bit & 7);
  }
  return ones === BITS / 2 ? code : null;
}
