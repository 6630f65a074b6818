// @ts-check

/**
 * Blend pixels with unpremultiplied alpha onto white, in place.
 *
 * @param {Uint8Array} rgba
 * @returns {boolean} whether a pixel was not opaque
 */
export function layOnWhite(rgba) {
  let transparent = false;
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    transparent = true;
    for (let k = at; k < at + 3; k += 1) {
      rgba[k] = Math.round((rgba[k] * alpha + 255 * (255 - alpha)) / 255);
    }
    rgba[at + 3] = 255;
  }
  return transparent;
}
