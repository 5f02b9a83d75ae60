/** Which finished results can be set beside each other: those that differ in nothing but sf and steps. */

const SAME = [
  "model", "prompt", "seed", "size", "frames", "fps", "guidance", "guidance_2", "true_cfg_scale", "flow_shift",
  "negative_prompt",
];

/** How a completed Video was computed, whatever was asked for. */
export function settingOf(video) {
  return video.cached_steps ? `sf ${video.sf}, ${video.steps} steps` : `uncached, ${video.steps} steps`;
}

/** The most fully computed one first: the baseline of the others. */
export function byFullness(videos) {
  const rank = (video) => [Number(!video.cached_steps), video.full_steps ?? 0];
  return videos.toSorted((one, other) => {
    const [[a, b], [c, d]] = [rank(one), rank(other)];
    return c - a || d - b;
  });
}

/**
 * The scenes of completed Videos, which are in order, the newest first: `{prompt, model, seed, videos}`, where of two
 * videos with one setting the newer stands, and the baseline comes first. Those with one setting alone are left out.
 */
export function scenes(videos) {
  const found = new Map();
  for (const video of videos) {
    const key = JSON.stringify(SAME.map((name) => video[name]));
    const settings = found.get(key) ?? found.set(key, new Map()).get(key);
    if (!settings.has(settingOf(video))) settings.set(settingOf(video), video);
  }
  return [...found.values()]
    .filter((settings) => settings.size > 1)
    .map((settings) => {
      const sorted = byFullness([...settings.values()]);
      const { prompt, model, seed } = sorted[0];
      return { prompt, model, seed, videos: sorted };
    });
}

/** Up to so many of the account's completed videos, the newest first. */
export async function completed(api, most, signal) {
  const found = [];
  for (let after; found.length < most; ) {
    const page = await api.get("v1/videos", { signal, query: { status: "completed", limit: 100, after } });
    found.push(...page.data);
    if (!page.has_more) break;
    after = page.last_id;
  }
  return found.slice(0, most);
}
