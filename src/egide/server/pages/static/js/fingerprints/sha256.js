// @ts-check

/*
 * SHA-256 over a file in pieces, so that a video need not fit into memory: crypto.subtle.digest
 * takes all bytes at once.
 *
 * Source: FIPS 180-4, section 6.2.
 */

const BLOCK_BYTES = 64;

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND = rootFractions(64, 3);
/** The same of the square roots of the first 8. */
const INITIAL = rootFractions(8, 2);

/** One digest in progress. */
export class Sha256 {
  constructor() {
    this._state = INITIAL.slice();
    this._words = new Int32Array(64);
    this._rest = new Uint8Array(BLOCK_BYTES);
    this._restBytes = 0;
    this._bytes = 0;
  }

  /**
   * @param {Uint8Array} bytes the next piece, of any length
   */
  update(bytes) {
    this._bytes += bytes.length;
    let at = 0;
    if (this._restBytes) {
      at = Math.min(BLOCK_BYTES - this._restBytes, bytes.length);
      this._rest.set(bytes.subarray(0, at), this._restBytes);
      this._restBytes += at;
      if (this._restBytes < BLOCK_BYTES) return;
      this._block(this._rest, 0);
      this._restBytes = 0;
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this._block(bytes, at);
    this._rest.set(bytes.subarray(at));
    this._restBytes = bytes.length - at;
  }

  /**
   * @returns {Uint8Array} 32 bytes; nothing may be added after this
   */
  digest() {
    const bits = this._bytes * 8;
    const padding = new Uint8Array(this._restBytes < 56 ? 64 - this._restBytes : 128 - this._restBytes);
    const view = new DataView(padding.buffer);
    padding[0] = 0x80;
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    const out = new DataView(new ArrayBuffer(32));
    this._state.forEach((word, k) => out.setInt32(4 * k, word));
    return new Uint8Array(out.buffer);
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   */
  _block(bytes, start) {
    const w = this._words;
    for (let k = 0, at = start; k < 16; k += 1, at += 4) {
      w[k] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let k = 16; k < 64; k += 1) {
      const x = w[k - 15];
      const y = w[k - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[k] = (w[k - 16] + s0 + w[k - 7] + s1) | 0;
    }
    const state = this._state;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let k = 0; k < 64; k += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[k] + w[k]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/**
 * Integer roots of primes: floating-point roots may differ between browsers.
 *
 * @param {number} count
 * @param {2 | 3} degree
 */
function rootFractions(count, degree) {
  const words = new Int32Array(count);
  for (let found = 0, candidate = 2; found < count; candidate += 1) {
    let prime = true;
    for (let k = 2; k * k <= candidate && prime; k += 1) prime = candidate % k !== 0;
    if (!prime) continue;
    const target = BigInt(candidate) << BigInt(32 * degree);
    let root = 0n;
    for (let bit = 1n << 36n; bit; bit >>= 1n) {
      if ((root | bit) ** BigInt(degree) <= target) root |= bit;
    }
    words[found] = Number(BigInt.asIntN(32, root));
    found += 1;
  }
  return words;
}
