// @ts-check

import { points } from "./anchored_points.js";
import { regionCodes } from "./anchored_regions.js";
import { Blocks, scales } from "./anchored_scales.js";

/*
 * Anchored hashes: a PDQ of each of the large regions that stand on stable points of a picture.
 *
 * Equal to egide.hashing.anchored, code by code: whole numbers, and doubles whose operations have
 * one order. Whole numbers are below 2³¹ or in doubles, so nothing rounds where the definition does
 * not. docs/explain/anchored-hashes.md is the definition.
 */

/** What is registered of a picture: the strongest regions. */
export const MAX_REGISTERED = 62;

/** @typedef {import("./anchored_regions.js").RegionCodes} RegionCodes */

/** The anchored hashes of one picture whose rows are pushed from top to bottom. */
export class AnchoredStream {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   */
  constructor(width, height) {
    this._blocks = Blocks.of(width, height);
  }

  /**
   * Take the next rows.
   *
   * @param {Uint8Array | Uint8ClampedArray} rgba opaque pixels, four bytes each, row after row
   * @param {number} rowCount
   */
  push(rgba, rowCount) {
    this._blocks?.push(rgba, rowCount);
  }

  /**
   * @param {() => Promise<void>} breathe lets other work run first, if there is any
   * @param {number} [most] regions
   * @returns {Promise<RegionCodes[]>} the strongest point's first; none without enough detail
   */
  async finish(breathe, most = MAX_REGISTERED) {
    if (!this._blocks) return [];
    const scaled = await scales(this._blocks.finish(), breathe);
    return regionCodes(scaled, await points(scaled.octaves, breathe), most, breathe);
  }
}
