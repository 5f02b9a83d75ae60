/** What a form says, as the body of a call. */

/** The fields that every model has with its defaults. Those of `state` that are null are left to the service. */
const SHARED = ["steps", "guidance", "guidance_2", "true_cfg_scale", "flow_shift", "negative_prompt"];

/** The body: what was said, without what is the model's default anyway. */
export function body(model, state) {
  const { defaults } = model;
  const chosen = { model: model.id, prompt: state.prompt, sf: state.sf };
  if (state.width !== defaults.width || state.height !== defaults.height) chosen.size = `${state.width}x${state.height}`;
  if (model.media === "video" && state.frames !== defaults.frames) chosen.frames = state.frames;
  for (const name of SHARED) {
    if (state[name] !== null && state[name] !== undefined && state[name] !== defaults[name]) chosen[name] = state[name];
  }
  if (state.seed !== null) chosen.seed = state.seed;
  return chosen;
}

/** The same with a first frame: a form, as JSON has no files. */
export function withFile(fields, file) {
  if (!file) return fields;
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, String(value));
  form.set("input_reference", file);
  return form;
}

/** Which call makes what a model makes. */
export function callOf(model) {
  return model.media === "image" ? "v1/images/generations" : "v1/videos";
}

/** Which one says what that would take. */
export function estimateOf(model) {
  return `v1/${model.media}s:estimate`;
}
