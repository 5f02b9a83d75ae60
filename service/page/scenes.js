/** Which finished results can be set beside each other: those that the API says are of one scene, as a study takes them. */

import { listing } from "./listing.js";

/** The most fully computed one first: the baseline of the others. */
export function byFullness(jobs) {
  const rank = ({ cached_steps: cached, full_steps: full, setting }) => [Number(!cached), full ?? 0, setting ?? ""];
  return jobs.toSorted((one, other) => {
    const [left, right] = [rank(one), rank(other)];
    const at = left.findIndex((value, place) => value !== right[place]);
    return at < 0 ? 0 : left[at] < right[at] ? 1 : -1;
  });
}

/**
 * The scenes of completed jobs, which are in order, the newest first: `{prompt, model, seed, picture, results}`, where of
 * two results with one setting the newer stands, and the baseline comes first. Those with one setting alone are left out.
 * picture: names the first frame, where they have one.
 */
export function scenes(jobs) {
  const found = new Map();
  for (const job of jobs) {
    const settings = found.get(job.scene) ?? found.set(job.scene, new Map()).get(job.scene);
    if (!settings.has(job.setting)) settings.set(job.setting, job);
  }
  return [...found.values()]
    .filter((settings) => settings.size > 1)
    .map((settings) => {
      const results = byFullness([...settings.values()]);
      const { prompt, model, seed, input_reference: picture } = results[0];
      return { prompt, model, seed, picture, results };
    });
}

/** Up to so many of the account's completed videos and images, the newest first. */
export function completed(api, most, signal) {
  return listing(api, { query: { status: "completed" }, limit: 100, signal }).next(most);
}
