/** The picture that a video starts from: chosen, dropped or pasted. */

import { h, show } from "../dom.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];

/**
 * onChange: called when there is another picture, or none. `file` is it; `ask(how, note)` shows the field as a model needs,
 * with a note until there is a picture.
 */
export function firstFrame(signal, onChange) {
  const input = h("input", { type: "file", id: "first-frame", class: "visually-hidden", accept: TYPES.join(), onchange: () => take(input.files[0]) });
  const picture = h("div", { class: "picture" });
  const told = h("p", { class: "hint", role: "status" });
  const drop = h("label", { class: "drop", for: "first-frame" }, picture);
  const remove = h("button", { type: "button", onclick: () => take(null) }, "Remove");
  const element = h("div", { class: "field first-frame", hidden: true }, h("span", { class: "label" }, "First frame"), input, drop, remove, told);
  const state = { element, file: null, ask, clear: () => take(null) };
  let url = null;

  drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => !element.hidden && event.clipboardData.files.length && take(event.clipboardData.files[0]), { signal });
  signal.addEventListener("abort", forget);

  function ask(how, note) {
    element.hidden = how === "none";
    state.required = how === "required";
    if (element.hidden) state.file = null;
    show(told, note);
    draw();
  }

  function take(file) {
    if (file && !TYPES.includes(file.type)) {
      show(told, `${file.name} is ${file.type || "of no known type"}; a first frame is a PNG, JPEG or WebP file.`);
      return;
    }
    state.file = file ?? null;
    input.value = "";
    show(told);
    draw();
    onChange();
  }

  function draw() {
    forget();
    remove.hidden = !state.file;
    if (state.file) url = URL.createObjectURL(state.file);
    const asked = state.required ? "Drop, paste or choose a picture" : "Drop, paste or choose a picture to start from";
    show(picture, url ? h("img", { src: url, alt: `First frame: ${state.file.name}` }) : asked);
  }

  function forget() {
    if (url) URL.revokeObjectURL(url);
    url = null;
  }

  return state;
}
