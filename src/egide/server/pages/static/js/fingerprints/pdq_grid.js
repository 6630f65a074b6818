// @ts-check

/*
 * Compute PDQ's hash and quality from the 64×64 picture after its filters.
 *
 * Source: ThreatExchange, pdq/cpp/hashing/pdqhashing.cpp; the same steps as egide.hashing.pdq.
 */

/** Rows and columns of the cosine transform's input. */
export const GRID = 64;
const FREQUENCIES = 16;

/**
 * √(2/64)·cos(π·k/128) for k = 0 … 63, in single precision. Embedded because the last bit of
 * Math.cos may differ between browsers.
 */
const QUARTER_WAVE = new Float32Array([
  0.17677669, 0.17672345, 0.17656375, 0.17629771, 0.17592546, 0.17544726, 0.17486335, 0.17417413,
  0.17337997, 0.17248139, 0.17147891, 0.17037314, 0.16916475, 0.16785446, 0.16644305, 0.16493139,
  0.16332036, 0.16161098, 0.15980424, 0.15790124, 0.15590313, 0.1538111, 0.15162642, 0.14935042,
  0.14698444, 0.14452994, 0.14198837, 0.13936128, 0.13665023, 0.13385688, 0.13098289, 0.12803,
  0.125, 0.121894695, 0.11871597, 0.11546574, 0.112145945, 0.108758606, 0.10530575, 0.10178947,
  0.09821187, 0.09457511, 0.090881385, 0.08713291, 0.08333196, 0.079480805, 0.075581774,
  0.07163722, 0.06764951, 0.06362105, 0.059554275, 0.05545162, 0.051315565, 0.0471486,
  0.042953234, 0.038731992, 0.034487423, 0.030222077, 0.025938528, 0.021639355, 0.017327147,
  0.0130045, 0.008674021, 0.004338317,
]);

/** The rows of the cosine transform that are kept, 16×64. */
const COSINES = cosineRows();

/**
 * @typedef {object} Pdq
 * @property {Uint8Array} pdq the hash, 32 bytes
 * @property {number} quality 0–100; under 50 the hash has too little detail for a search
 */

/**
 * @param {Float32Array} grid 64×64 levels of brightness, row after row
 * @returns {Pdq}
 */
export function hashGrid(grid) {
  return { pdq: hashOf(transform(grid)), quality: qualityOf(grid) };
}

function cosineRows() {
  const rows = new Float32Array(FREQUENCIES * GRID);
  for (let row = 0; row < FREQUENCIES; row += 1) {
    for (let column = 0; column < GRID; column += 1) {
      const turn = ((row + 1) * (2 * column + 1)) % 256;
      const half = Math.min(turn, 256 - turn);
      rows[row * GRID + column] = half > 64 ? -QUARTER_WAVE[128 - half] : QUARTER_WAVE[half];
    }
  }
  return rows;
}

/**
 * The 16×16 cosine coefficients, summed in the reference's order.
 *
 * @param {Float32Array} grid 64×64
 */
function transform(grid) {
  const half = new Float32Array(FREQUENCIES * GRID);
  const full = new Float32Array(FREQUENCIES * FREQUENCIES);
  for (let row = 0; row < FREQUENCIES; row += 1) {
    for (let column = 0; column < GRID; column += 1) {
      let sum = Math.fround(0);
      for (let k = 0; k < GRID; k += 1) {
        sum = Math.fround(sum + Math.fround(COSINES[row * GRID + k] * grid[k * GRID + column]));
      }
      half[row * GRID + column] = sum;
    }
    for (let column = 0; column < FREQUENCIES; column += 1) {
      let sum = Math.fround(0);
      for (let k = 0; k < GRID; k += 1) {
        sum = Math.fround(sum + Math.fround(half[row * GRID + k] * COSINES[column * GRID + k]));
      }
      full[row * FREQUENCIES + column] = sum;
    }
  }
  return full;
}

/**
 * Compare the coefficients with their median, the 128th smallest; the last gives the highest bit.
 *
 * @param {Float32Array} coefficients
 */
function hashOf(coefficients) {
  const median = coefficients.slice().sort()[127];
  const hash = new Uint8Array(32);
  for (let bit = 0; bit < 256; bit += 1) {
    if (coefficients[bit] > median) hash[31 - (bit >> 3)] |= 1 << (bit & 7);
  }
  return hash;
}

/**
 * The detail of a 64×64 picture: the reference's sum of gradients, scaled to 0–100.
 *
 * @param {Float32Array} grid
 */
function qualityOf(grid) {
  let sum = 0;
  for (let at = 0; at < grid.length; at += 1) {
    if (at + GRID < grid.length) sum += stepOf(grid[at], grid[at + GRID]);
    if ((at + 1) % GRID) sum += stepOf(grid[at], grid[at + 1]);
  }
  return Math.min(Math.floor(sum / 90), 100);
}

/**
 * @param {number} one
 * @param {number} other
 */
function stepOf(one, other) {
  return Math.trunc(Math.abs(Math.fround(Math.fround(Math.fround(one - other) * 100) / 255)));
}
