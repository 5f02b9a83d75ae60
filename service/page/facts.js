/** What a job was asked for and what came out, as a list of names and values. */

import { decibels, duration, moment, times } from "./format.js";
import { h } from "./dom.js";

/** Pairs of name and value; those without a value are left out. */
export function list(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** The settings of a video or an image. */
export function settings(video) {
  return list([
    ["Model", video.model],
    ["Size", video.frames ? `${video.size}, ${video.frames} frames, ${video.fps} fps` : video.size],
    ["First frame", video.input_reference && `a picture, ${video.input_reference.slice(0, 12)}…`],
    ["Speed knob sf", `${video.sf} of ${video.steps} steps`],
    ["Guidance", String(video.guidance)],
    ["True CFG scale", video.true_cfg_scale > 1 ? String(video.true_cfg_scale) : null],
    ["Flow shift", video.flow_shift === null ? null : String(video.flow_shift)],
    ["Negative prompt", video.negative_prompt],
    ["Seed", String(video.seed)],
    ["Priority", video.priority],
    ["Made", moment(video.created_at)],
    ["Kept until", video.expires_at === null ? null : moment(video.expires_at)],
    ["Id", h("code", {}, video.id)],
  ]);
}

/** What a completed run was like. */
export function outcome(video) {
  const { timings, speedup } = video;
  return list([
    ["Computed in full", `${video.full_steps} of ${video.full_steps + video.cached_steps} steps`],
    ["Faster than uncached", video.engaged ? `${times(speedup.measured)} in its denoising, as measured` : "no: every step was computed"],
    ["Why", video.reason],
    ["Expected fidelity", video.expected_snr === null ? null : `${decibels(video.expected_snr)} SNR of the latents`],
    ["Prediction error", errors(video.mispredictions)],
    ["Predictions rest on", basis(video.basis)],
    ["Denoising", duration(timings.denoise)],
    ["Waited", duration(timings.queued)],
    ["Tokens read", tokens(video.prompt_tokens)],
    ["Had no effect", unused(video.no_effect)],
    ["Worker", video.worker],
  ]);
}

function basis(found) {
  if (!found) return null;
  return { prior: "a prior: nothing was measured yet", measured: `${found.runs} uncached runs${found.plan === "tried" ? ", its plan on whole runs" : ""}`, adapted: "this run itself" }[found.kind];
}

function errors(found) {
  if (!found?.length) return null;
  const [expected, measured] = ["expected", "measured"].map(
    (key) => `${(100 * Math.sqrt(found.reduce((sum, each) => sum + each[key], 0) / found.length)).toFixed(1)} %`,
  );
  return `${measured} measured, ${expected} expected`;
}

function tokens(found) {
  return found?.map((each) => `${each.read} of ${each.total}`).join(", ");
}

function unused(found) {
  return Object.entries(found).map(([name, why]) => `${name}: ${why}`).join("; ");
}
