// @ts-check

import { asFingerprintError, FingerprintError } from "./errors.js";
import { layOnWhite } from "./white.js";

/** @typedef {import("../../vendor/libheif/libheif-wasm.js").Libheif} Libheif */
/** @typedef {import("./decode.js").Picture} Picture */

const STRIPE_PIXELS = 1 << 18;

/** @type {Promise<() => Libheif> | null} */
let loaded = null;

/**
 * Decode HEIC, which browsers do not, with libheif, loaded for the first such picture.
 *
 * @param {Uint8Array} bytes the whole file
 * @returns {Promise<import("./decode.js").Picture>}
 * @throws {FingerprintError} `heic-unavailable`, `damaged`, `out-of-memory`, `unexpected`
 */
export async function openHeic(bytes) {
  loaded ??= load();
  /** @type {Libheif} */
  let libheif;
  try {
    // A decoder's memory only grows, so each picture gets a new decoder.
    libheif = (await loaded)();
  } catch (error) {
    loaded = null;
    throw new FingerprintError("heic-unavailable", error);
  }
  try {
    return new HeicPicture(libheif, bytes);
  } catch (error) {
    throw asFingerprintError(error);
  }
}

/**
 * @returns {Promise<() => Libheif>} makes a decoder
 */
async function load() {
  const quiet = { print: () => {}, printErr: () => {} };
  try {
    const compiled = await compileWasm();
    const { default: libheif } = await import("../../vendor/libheif/libheif-wasm.js");
    const make = () =>
      libheif({
        ...quiet,
        instantiateWasm: (imports, ready) => ready(new WebAssembly.Instance(compiled, imports)),
      });
    make();
    return make;
  } catch {
    // Without WebAssembly (off, or forbidden by a policy): the same decoder, ten times slower.
    const { default: libheif } = await import("../../vendor/libheif/libheif-plain.js");
    return () => libheif(quiet);
  }
}

async function compileWasm() {
  const response = await fetch(new URL("../../vendor/libheif/libheif.wasm", import.meta.url));
  if (!response.ok) throw new Error(`status ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

/**
 * @implements {Picture}
 */
class HeicPicture {
  /**
   * @param {Libheif} libheif
   * @param {Uint8Array} bytes
   */
  constructor(libheif, bytes) {
    const images = new libheif.HeifDecoder().decode(bytes);
    const image = /** @type {any} */ (images.find((one) => one.is_primary()) ?? images[0]);
    if (!image) throw new FingerprintError("damaged");
    // HeifImage.display would make another copy.
    const decoded = libheif.heif_js_decode_image2(
      image.handle,
      libheif.heif_colorspace.heif_colorspace_RGB,
      libheif.heif_chroma.heif_chroma_interleaved_RGBA,
    );
    if (!decoded || decoded.code) throw new FingerprintError("damaged");
    /** @type {{ width: number, height: number, stride: number, data: Uint8Array }} */
    const plane = decoded.channels[0];
    this._plane = plane;
    this.width = plane.width;
    this.height = plane.height;
    this.transparent = false;
    this._hasAlpha = image.has_alpha_channel();
  }

  close() {
    this._plane.data = new Uint8Array(0);
  }

  *stripes() {
    const { width, height } = this;
    const { data, stride } = this._plane;
    const rows = Math.max(1, Math.floor(STRIPE_PIXELS / width));
    const rgba = new Uint8Array(4 * width * rows);
    for (let top = 0; top < height; top += rows) {
      const rowCount = Math.min(rows, height - top);
      for (let row = 0; row < rowCount; row += 1) {
        const start = (top + row) * stride;
        rgba.set(data.subarray(start, start + 4 * width), 4 * row * width);
      }
      if (this._hasAlpha && layOnWhite(rgba.subarray(0, 4 * width * rowCount))) {
        this.transparent = true;
      }
      yield { rgba, rowCount };
    }
  }
}
