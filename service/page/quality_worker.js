/** Measures pairs of pictures beside the page, so that it does not stand still meanwhile. */

import { psnr, ssim } from "./quality.js";

onmessage = ({ data: { id, one, other, width, height } }) => {
  postMessage({ id, psnr: psnr(one, other), ssim: ssim(one, other, width, height) });
};
