// @ts-check

import { Sha256 } from "../fingerprints/sha256.js";

const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;
const ZERO = 48;
const NINE = 57;
/** Long enough to lose little time between slices, short enough to react to a tap at once. */
const SLICE_MS = 12;
const CHECK_EVERY = 256;

/**
 * SHA-256 of a fixed prefix followed by the numbers from 0 on. The prefix is hashed once, and the
 * number is incremented in place, digit by digit.
 */
class Attempts extends Sha256 {
  /** @param {string} beginning ASCII */
  constructor(beginning) {
    super();
    const bytes = Uint8Array.from(beginning, (char) => char.charCodeAt(0));
    this._whole = bytes.length - (bytes.length % BLOCK_BYTES);
    this.update(bytes.subarray(0, this._whole));
    this._begun = this._state.slice();
    this._left = bytes.subarray(this._whole);
    this._tail = new Uint8Array(2 * BLOCK_BYTES);
    this._digits = 1;
    this._padded = 0;
    this._layOut(ZERO);
  }

  /** @returns {number} the leading zero bits of the number's digest, up to 32 */
  zeroBits() {
    this._state.set(this._begun);
    for (let at = 0; at < this._padded; at += BLOCK_BYTES) this._block(this._tail, at);
    return Math.clz32(this._state[0]);
  }

  /** Go to the next number. */
  advance() {
    const tail = this._tail;
    let at = this._left.length + this._digits - 1;
    while (at >= this._left.length && tail[at] === NINE) {
      tail[at] = ZERO;
      at -= 1;
    }
    if (at >= this._left.length) {
      tail[at] += 1;
    } else {
      this._digits += 1;
      this._layOut(ZERO + 1);
    }
  }

  /** @param {number} first digit; zeros follow it */
  _layOut(first) {
    const length = this._left.length + this._digits;
    this._padded = length + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    const tail = this._tail.fill(0);
    tail.set(this._left);
    tail.fill(ZERO, this._left.length, length);
    tail[this._left.length] = first;
    tail[length] = 0x80;
    new DataView(tail.buffer).setUint32(this._padded - 4, (this._whole + length) * 8);
  }
}

/**
 * Solve a challenge of the server in slices, so that the page stays responsive without a worker.
 *
 * @param {string} challenge `v1.<bits>.…`, at most 32 bits
 * @returns {Promise<number>} a nonce: SHA-256 of `challenge:nonce` begins with so many zero bits
 */
export async function solve(challenge) {
  const bits = Number(challenge.split(".")[1]);
  if (!Number.isInteger(bits) || bits < 0 || bits > 32) throw new RangeError("unknown challenge");
  const attempts = new Attempts(`${challenge}:`);
  let sliceEnds = performance.now() + SLICE_MS;
  for (let nonce = 0; ; nonce += 1) {
    if (attempts.zeroBits() >= bits) return nonce;
    attempts.advance();
    if (nonce % CHECK_EVERY === 0 && performance.now() > sliceEnds) {
      await nextTask();
      sliceEnds = performance.now() + SLICE_MS;
    }
  }
}

/** Not a timer: browsers delay nested ones by 4 ms, and by a second in a background tab. */
function nextTask() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve(undefined);
    };
    channel.port2.postMessage(0);
  });
}
