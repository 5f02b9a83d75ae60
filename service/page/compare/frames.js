/** The frames of a result, one by one, as they are decoded by the browser. */

/**
 * Reads frames of a video or image at an address of this tab. size: `{width, height}` of what is read.
 * `read(index)` gives RGBA bytes. Raises an Error where the browser cannot decode the file.
 */
export async function frameReader(url, { image, fps, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const media = image ? await loadedImage(url) : await loadedVideo(url);
  return {
    async read(index) {
      if (!image) await seek(media, index, fps);
      context.drawImage(media, 0, 0, width, height);
      return context.getImageData(0, 0, width, height).data;
    },
    close() {
      media.removeAttribute("src");
    },
  };
}

/** Of each video the media time of the frame that it shows, and who waits for another one. */
const SHOWN = new WeakMap();
/** A tab that is not seen presents no frame: what is decoded is taken then. One that is may be slow. In milliseconds. */
const patience = () => (document.hidden ? 1000 : 10_000);

/** Show a frame. Its middle is aimed at: its borders may fall to either side. */
export async function seek(video, index, fps) {
  watch(video);
  const time = (index + 0.5) / fps;
  if (Math.abs(video.currentTime - time) > 1e-6 || video.seeking) await sought(video, time);
  await presented(video, (at) => Math.abs(at - index / fps) < 0.5 / fps);
}

function sought(video, time) {
  return new Promise((resolve, reject) => {
    const end = (settle) => () => {
      video.removeEventListener("seeked", good);
      video.removeEventListener("error", bad);
      settle();
    };
    const good = end(resolve);
    const bad = end(() => reject(new Error("this browser cannot decode the video")));
    video.addEventListener("seeked", good);
    video.addEventListener("error", bad);
    video.currentTime = time;
  });
}

/** `seeked` says that a frame was found, and under load not yet that it is the one that is drawn. */
function watch(video) {
  if (SHOWN.has(video) || !video.requestVideoFrameCallback) return;
  const state = { at: NaN, tell: () => {} };
  SHOWN.set(video, state);
  const note = (_, { mediaTime }) => {
    state.at = mediaTime;
    state.tell();
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}

function presented(video, isWanted) {
  const state = SHOWN.get(video);
  if (!state || isWanted(state.at)) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      state.tell = () => {};
      resolve();
    };
    const timer = setTimeout(end, patience());
    state.tell = () => isWanted(state.at) && end();
  });
}

async function loadedImage(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

function loadedVideo(url) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  return new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(video), { once: true });
    video.addEventListener("error", () => reject(new Error("this browser cannot decode the video")), { once: true });
    video.src = url;
  });
}
