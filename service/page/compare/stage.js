/** Results beside each other, over each other with a divider, or as a map of their differences. */

import { field, h, options, show } from "../dom.js";
import { difference } from "../quality.js";
import { playback } from "./playback.js";

const MODES = [["side", "Side by side"], ["swipe", "Swipe"], ["difference", "Difference"]];
const GAIN = 8;

/**
 * sources: `{url, label}`, the baseline first. format: `{image, fps, frames, width, height}`. onFrame: called with the
 * index of the frame that is shown. alike: whether all have this size, without which there is no difference.
 */
export function stage(sources, format, { signal, onFrame, alike }) {
  const media = sources.map((source) => medium(source, format));
  const figures = sources.map((source, index) => h("figure", {}, media[index], h("figcaption", {}, source.label)));
  const map = h("canvas", { width: format.width, height: format.height, role: "img", "aria-label": "Difference map" });
  const mapFigure = h("figure", { class: "map", hidden: true }, map, h("figcaption", {}, "difference"));
  const screen = h("div", { class: "screens" }, figures, mapFigure);
  const mode = h("select", {}, options(alike ? MODES : MODES.slice(0, 1), "side"));
  const other = h("select", {}, options(sources.slice(1).map(({ label }, index) => [String(index + 1), label])));
  const cut = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Divider, in percent from the left" });
  const gain = h("input", { type: "range", min: 1, max: 32, value: GAIN });
  const only = { other: field(`${sources[0].label} beside`, other), cut: field("Divider", cut), gain: field("Amplified", gain) };
  const transport = format.image ? null : controls(media, format, signal, shown);

  function shown(index) {
    if (mode.value === "difference") draw();
    onFrame(index);
  }

  function arrange() {
    const chosen = Number(other.value);
    const pair = mode.value !== "side";
    screen.dataset.mode = mode.value;
    figures.forEach((figure, index) => {
      figure.hidden = pair && index !== 0 && index !== chosen;
      figure.classList.toggle("over", mode.value === "swipe" && index === chosen);
    });
    mapFigure.hidden = mode.value !== "difference";
    only.other.hidden = !pair || sources.length === 2;
    only.cut.hidden = mode.value !== "swipe";
    only.gain.hidden = mode.value !== "difference";
    if (mode.value === "difference") draw();
  }

  function draw() {
    const [one, two] = [media[0], media[Number(other.value)]].map((each) => pixels(each, format));
    const context = map.getContext("2d");
    const picture = context.createImageData(format.width, format.height);
    difference(one, two, Number(gain.value), picture.data);
    context.putImageData(picture, 0, 0);
  }

  const divide = () => screen.style.setProperty("--cut", `${cut.value}%`);
  for (const control of [mode, other]) control.addEventListener("change", arrange);
  cut.addEventListener("input", divide);
  gain.addEventListener("input", draw);
  for (const each of media) each.addEventListener("loadeddata", () => mode.value === "difference" && draw(), { once: true });
  screen.addEventListener("pointermove", (event) => drag(event));

  /** Where the pointer is pressed there the divider goes. */
  function drag(event) {
    if (mode.value !== "swipe" || !event.buttons) return;
    const { left, width } = figures[0].getBoundingClientRect();
    cut.value = String(Math.round((100 * (event.clientX - left)) / width));
    divide();
  }

  screen.style.setProperty("--ratio", format.width / format.height);
  divide();
  arrange();
  return {
    element: h(
      "div",
      { class: "card stage" },
      h("div", { class: "row" }, field("Show", mode), only.other, only.cut, only.gain),
      screen,
      transport?.element,
    ),
    transport,
  };
}

function medium({ url, label }, { image }) {
  if (image) return h("img", { src: url, alt: label });
  const video = h("video", { src: url, "aria-label": label, playsinline: true, preload: "auto" });
  video.muted = true;
  return video;
}

function pixels(media, { width, height }) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(media, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function controls(videos, { frames, fps }, signal, onFrame) {
  const toggle = h("button", { type: "button", class: "primary", onclick: () => player.toggle() }, "Play");
  const slider = h("input", { type: "range", min: 0, max: frames - 1, value: 0, "aria-label": "Frame" });
  const said = h("output", { class: "hint" });
  const player = playback(videos, {
    frames,
    fps,
    signal,
    onState: (playing) => show(toggle, playing ? "Pause" : "Play"),
    onFrame(index) {
      slider.value = String(index);
      show(said, `frame ${index + 1} of ${frames}`);
      onFrame(index);
    },
  });
  slider.addEventListener("input", () => player.show(Number(slider.value)));
  show(said, `frame 1 of ${frames}`);
  const element = h(
    "div",
    { class: "transport" },
    toggle,
    h("button", { type: "button", onclick: () => player.step(-1) }, "Previous frame"),
    h("button", { type: "button", onclick: () => player.step(1) }, "Next frame"),
    slider,
    said,
  );
  return { element, player };
}
