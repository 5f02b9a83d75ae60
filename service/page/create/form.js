/** The fields of a request, as a model allows them. */

import { field, h, options, show } from "../dom.js";
import { promptLength } from "./prompt_length.js";

/** models: those of the API. `state()` is what is filled in, with numbers as such and null for what is left open. */
export function form(models) {
  const model = h("select", { name: "model" }, options(models.map((each) => [each.id, label(each)])));
  const prompt = h("textarea", { name: "prompt", rows: 4, required: true, maxlength: 32000, placeholder: "What it shows" });
  const count = h("p", { class: "hint", "aria-live": "polite" });
  const fields = h("div");
  const numbers = new Map();
  let counted = false;
  const promptField = field("Prompt", prompt);
  promptField.append(count);
  const element = h("div", {}, field("Model", model), promptField, fields);

  const current = () => models.find((each) => each.id === model.value) ?? models[0];

  /** Draw the fields of the chosen model, with its defaults or what `given` has. */
  function fit(given = {}) {
    const { defaults, limits, size_multiple: grid, frame_multiple: every, media } = current();
    const number = (name, text, settings, hint) => {
      const input = h("input", { type: "number", name, value: given[name] ?? defaults[name] ?? "", ...settings });
      numbers.set(name, input);
      return field(text, input, hint);
    };
    const present = (name) => defaults[name] !== null && defaults[name] !== undefined;
    numbers.clear();
    show(
      fields,
      h(
        "div",
        { class: "row" },
        number("width", "Width", { min: grid, max: limits.max_width, step: grid, required: true }),
        number("height", "Height", { min: grid, max: limits.max_height, step: grid, required: true }),
        media === "video" && number("frames", "Frames", { min: 1, max: limits.max_frames, step: every, required: true }),
        number("seed", "Seed", { min: 0, max: 2 ** 32 - 1, step: 1, placeholder: "random" }),
      ),
      h(
        "details",
        { open: Boolean(given.negative_prompt) && given.negative_prompt !== defaults.negative_prompt },
        h("summary", {}, "More settings"),
        h(
          "div",
          { class: "row more" },
          number("steps", "Steps", { min: 1, max: limits.max_steps, step: 1, required: true }),
          number("guidance", "Guidance", { min: 0, max: 100, step: "any", required: true }),
          present("guidance_2") && number("guidance_2", "Guidance, second expert", { min: 0, max: 100, step: "any" }),
          (media === "image" || given.true_cfg_scale > 1) && number("true_cfg_scale", "True CFG scale", { min: 1, max: 100, step: "any", placeholder: "1" }, "Above 1 it heeds the negative prompt and takes twice the time."),
          present("flow_shift") && number("flow_shift", "Flow shift", { min: 0.01, max: 100, step: "any" }),
        ),
        field("Negative prompt", negative(given.negative_prompt ?? defaults.negative_prompt)),
      ),
    );
    if (given.prompt !== undefined) prompt.value = given.prompt;
    tellLength();
  }

  function negative(value) {
    const input = h("textarea", { name: "negative_prompt", rows: 2, maxlength: 32000, value });
    numbers.set("negative_prompt", input);
    return input;
  }

  /** By the encoder's own count where an estimate has it, else by words: nothing here splits text as it does. */
  function tellLength(estimate) {
    const { text, isCut, isExact } = promptLength(prompt.value, current().defaults.max_sequence_length, estimate);
    count.classList.toggle("warn", isCut);
    count.textContent = text;
    counted = isExact;
  }

  return {
    element,
    fit,
    tellLength,
    /** Whether the length that is shown is the encoder's own count. */
    get counted() { return counted; },
    get model() { return current(); },
    choose(name) { model.value = name; },
    state() {
      const read = (input) => (input.type !== "number" ? input.value : input.value === "" ? null : Number(input.value));
      return { prompt: prompt.value.trim(), ...Object.fromEntries([...numbers].map(([name, input]) => [name, read(input)])) };
    },
  };
}

function label(model) {
  const kind = model.media === "image" ? "images" : "videos";
  return `${model.id} (${kind}${model.live_workers === 0 ? ", no worker now" : ""})`;
}
