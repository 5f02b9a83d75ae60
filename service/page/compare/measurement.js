/** PSNR and SSIM of each frame against the baseline's, measured by a worker. */

import { frameReader } from "./frames.js";

/** Of long videos as many frames are measured, evenly spread. */
const MOST_FRAMES = 120;

/** Chromium runs no worker of an address that is a mere string: the page's policy allows this one kind alone. */
const policy = globalThis.trustedTypes?.createPolicy("scalingcache", {
  createScriptURL(url) {
    if (url !== WORKER) throw new TypeError(`${url} is no worker of this page`);
    return url;
  },
});
const WORKER = new URL("../quality_worker.js", import.meta.url).href;

/**
 * Measure every source but the first against the first.
 *
 * sources: `{url}`. format: `{image, fps, frames, width, height}` of all of them. onFrame: called with the index of a
 * frame and a list of `{psnr, ssim}`, one for each source but the first, in the order of the frames.
 */
export async function measure(sources, format, { signal, onFrame }) {
  const readers = await Promise.all(sources.map(({ url }) => frameReader(url, format)));
  const judge = judging(signal);
  try {
    for (const index of sampled(format.image ? 1 : format.frames)) {
      if (signal.aborted) return;
      const [baseline, ...others] = await Promise.all(readers.map((reader) => reader.read(index)));
      onFrame(index, await Promise.all(others.map((other) => judge.of(baseline, other, format))));
    }
  } finally {
    readers.forEach((reader) => reader.close());
    judge.end();
  }
}

/** Indices of the frames that are measured. */
export function sampled(frames, most = MOST_FRAMES) {
  const count = Math.min(frames, most);
  return Array.from({ length: count }, (_, place) => (count === 1 ? 0 : Math.round((place * (frames - 1)) / (count - 1))));
}

function judging(signal) {
  const worker = new Worker(policy ? policy.createScriptURL(WORKER) : WORKER, { type: "module" });
  const waiting = new Map();
  let count = 0;
  worker.addEventListener("message", ({ data: { id, ...found } }) => {
    waiting.get(id).resolve(found);
    waiting.delete(id);
  });
  let broken = null;
  const fail = () => {
    broken = new Error("the frames could not be compared");
    waiting.forEach(({ reject }) => reject(broken));
  };
  worker.addEventListener("error", fail);
  signal.addEventListener("abort", fail);
  return {
    of(one, other, { width, height }) {
      if (broken) return Promise.reject(broken);
      return new Promise((resolve, reject) => {
        const id = (count += 1);
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, one, other, width, height });
      });
    },
    end() {
      worker.terminate();
      signal.removeEventListener("abort", fail);
    },
  };
}
