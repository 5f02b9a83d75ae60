/** Several videos as one: they start, stop and step together. */

import { seek } from "./frames.js";

/**
 * videos: elements of one length, the first of which leads. onFrame: called with the index of the frame that is shown.
 * Steps are exact: each goes to the middle of a frame. While they play, one that is more than a frame off is set right.
 */
export function playback(videos, { frames, fps, signal, onFrame, onState }) {
  const [leader, ...others] = videos;
  let playing = false;
  let index = 0;

  async function show(wanted) {
    pause();
    index = Math.max(0, Math.min(frames - 1, wanted));
    onFrame(index);
    const target = index;
    try {
      await Promise.all(videos.map((video) => seek(video, target, fps)));
    } catch (error) {
      if (signal.aborted) return; // the view was left, and its files are gone
      throw error;
    }
    if (target === index) onFrame(index);
  }

  function play() {
    playing = true;
    onState(true);
    for (const video of videos) video.play().catch(() => {});
    requestAnimationFrame(follow);
  }

  function pause() {
    if (!playing) return;
    playing = false;
    onState(false);
    for (const video of videos) video.pause();
  }

  function follow() {
    if (!playing || signal.aborted) return;
    const now = Math.min(frames - 1, Math.floor(leader.currentTime * fps));
    if (leader.ended) {
      for (const video of videos) video.currentTime = 0;
      for (const video of videos) video.play().catch(() => {});
    } else {
      for (const video of others) if (Math.abs(video.currentTime - leader.currentTime) > 1 / fps) video.currentTime = leader.currentTime;
    }
    if (now !== index) onFrame((index = now));
    requestAnimationFrame(follow);
  }

  signal.addEventListener("abort", pause);
  return {
    show,
    step: (by) => show(index + by),
    toggle: () => (playing ? show(index) : play()),
    get index() {
      return index;
    },
  };
}
