/** What to expect of a position of the knob, by what was measured of the model. Nothing here asks anybody. */

/**
 * Speed and fidelity at so many full steps, by a model's evaluation: of the sf that was measured, or between two of them
 * by their full steps. Null where nothing was measured, or nothing on both sides.
 *
 * Returns `{speedup, psnr, ssim, between}`; between is the two measured sf, null where this one was.
 */
export function expected(evaluated, full) {
  const rows = [...(evaluated?.sf ?? [])].sort((one, other) => one.full_steps - other.full_steps);
  const same = rows.find((row) => Math.abs(row.full_steps - full) < 0.5);
  if (same) return { speedup: same.speedup.mean, psnr: same.psnr.mean, ssim: same.ssim.mean, range: same.speedup, between: null };
  const above = rows.findIndex((row) => row.full_steps > full);
  if (above < 1) return null;
  const [low, high] = [rows[above - 1], rows[above]];
  const part = (full - low.full_steps) / (high.full_steps - low.full_steps);
  const mix = (key) => low[key].mean + part * (high[key].mean - low[key].mean);
  // Times add up where speeds do not.
  const speedup = 1 / (1 / low.speedup.mean + part * (1 / high.speedup.mean - 1 / low.speedup.mean));
  return { speedup, psnr: mix("psnr"), ssim: mix("ssim"), between: [low.sf, high.sf] };
}

/** Where the figures come from, in a sentence. steps, size, frames: of the request. */
export function source(evaluated, found, { steps, size, frames }) {
  if (!evaluated) return "This model has no evaluation yet: the speedup is that of the steps alone.";
  if (!found) return "Nothing was measured at this position: the speedup is that of the steps alone.";
  const how = found.between ? `Between sf ${found.between[0]} and ${found.between[1]}, measured` : "Measured";
  const where = `on ${evaluated.prompts} prompts at ${evaluated.size}${evaluated.frames > 1 ? `, ${evaluated.frames} frames` : ""}, ${evaluated.steps} steps`;
  const same = evaluated.steps === steps && evaluated.size === size && evaluated.frames === frames;
  return `${how} ${where}${evaluated.date ? `, ${evaluated.date.slice(0, 10)}` : ""}${same ? "" : "; not at the settings chosen here"}.`;
}
