/** How near one picture is to another, by the definitions of the evaluation: PSNR, and SSIM as scikit-image has it. */

/** Of an equal picture; so that a mean stays a number. */
export const MOST_DECIBELS = 100;
const WINDOW = 7;
const PEAK = 255;
const C1 = (0.01 * PEAK) ** 2;
const C2 = (0.03 * PEAK) ** 2;

/** Peak signal-to-noise ratio in dB over red, green and blue. one, other: RGBA bytes of pictures of one size. */
export function psnr(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at += 4) {
    for (let channel = at; channel < at + 3; channel += 1) sum += (one[channel] - other[channel]) ** 2;
  }
  const mean = sum / ((3 * one.length) / 4);
  return mean === 0 ? MOST_DECIBELS : Math.min(MOST_DECIBELS, 10 * Math.log10(PEAK ** 2 / mean));
}

/**
 * Structural similarity: windows of 7 by 7 that lie within the picture, sample covariance, the mean over red, green and
 * blue. Null for pictures that have no such window.
 */
export function ssim(one, other, width, height) {
  if (width < WINDOW || height < WINDOW) return null;
  const channels = [0, 1, 2].map((channel) => channelSsim(one, other, width, height, channel));
  return (channels[0] + channels[1] + channels[2]) / 3;
}

/** Sums over a window follow from those of the one before it: each column first, then along the row. */
function channelSsim(one, other, width, height, channel) {
  const columns = Array.from({ length: 5 }, () => new Float64Array(width));
  let total = 0;
  for (let row = 0; row < height; row += 1) {
    add(columns, one, other, width, row, channel, 1);
    if (row >= WINDOW) add(columns, one, other, width, row - WINDOW, channel, -1);
    if (row >= WINDOW - 1) total += rowSsim(columns, width);
  }
  return total / ((width - WINDOW + 1) * (height - WINDOW + 1));
}

function add([a, b, aa, bb, ab], one, other, width, row, channel, sign) {
  for (let x = 0, at = 4 * row * width + channel; x < width; x += 1, at += 4) {
    const p = one[at];
    const q = other[at];
    a[x] += sign * p;
    b[x] += sign * q;
    aa[x] += sign * p * p;
    bb[x] += sign * q * q;
    ab[x] += sign * p * q;
  }
}

function rowSsim([a, b, aa, bb, ab], width) {
  let [sa, sb, saa, sbb, sab] = [0, 0, 0, 0, 0];
  let total = 0;
  for (let x = 0; x < width; x += 1) {
    const past = x - WINDOW;
    sa += a[x] - (past < 0 ? 0 : a[past]);
    sb += b[x] - (past < 0 ? 0 : b[past]);
    saa += aa[x] - (past < 0 ? 0 : aa[past]);
    sbb += bb[x] - (past < 0 ? 0 : bb[past]);
    sab += ab[x] - (past < 0 ? 0 : ab[past]);
    if (past >= -1) total += similarity(sa, sb, saa, sbb, sab);
  }
  return total;
}

function similarity(sa, sb, saa, sbb, sab) {
  const count = WINDOW * WINDOW;
  const [ma, mb] = [sa / count, sb / count];
  const sample = count / (count - 1);
  const va = sample * (saa / count - ma * ma);
  const vb = sample * (sbb / count - mb * mb);
  const cov = sample * (sab / count - ma * mb);
  return ((2 * ma * mb + C1) * (2 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
}

/** The difference of two pictures, `gain` times as strong, as an opaque picture. All are RGBA bytes of one size. */
export function difference(one, other, gain, into) {
  for (let at = 0; at < one.length; at += 4) {
    for (let channel = at; channel < at + 3; channel += 1) into[channel] = gain * Math.abs(one[channel] - other[channel]);
    into[at + 3] = 255;
  }
  return into;
}
