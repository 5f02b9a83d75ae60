/** A result that is shown, with the file behind it. */

import { jobPath } from "./api.js";
import { h } from "./dom.js";

/** The address of a job's file in this tab; it holds until the signal aborts. variant: a preview of it. Raises Problem. */
export async function fileUrl(api, id, signal, variant) {
  const url = URL.createObjectURL(await api.file(`${jobPath(id)}/content`, { signal, query: { variant } }));
  signal.addEventListener("abort", () => URL.revokeObjectURL(url), { once: true });
  return url;
}

/** What plays a file: a video over and over, an image as it is. text: says what it shows, for who cannot see it. */
export function player(url, { image = false, text = "", autoplay = true } = {}) {
  if (image) return h("img", { class: "result", src: url, alt: text });
  const video = h("video", { class: "result", src: url, "aria-label": text, controls: true, loop: true, playsinline: true });
  video.muted = true; // or browsers would not start it
  video.autoplay = autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  return video;
}

/** Save a file under its id. */
export function download(url, id, image = false) {
  h("a", { href: url, download: `${id}.${image ? "png" : "mp4"}` }).click();
}
