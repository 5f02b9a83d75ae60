/** One video: how it comes into being, and what it has become. */

import { actions } from "../actions.js";
import { h, problemBox, show } from "../dom.js";
import { follow, hasEnded } from "../events.js";
import { outcome, settings } from "../facts.js";
import { duration, plural } from "../format.js";
import { fileUrl, player } from "../player.js";
import { legend, strip } from "../strip.js";

export function mount(root, api, { argument: id, signal }) {
  const steps = strip();
  const title = h("h1", {}, "Video");
  const parts = Object.fromEntries(
    ["status", "line", "screen", "told", "buttons", "outcome", "settings"].map((name) => [name, h("div", { class: name })]),
  );
  const seen = { kinds: [], done: 0, eta: null, video: null };

  async function onVideo(video) {
    const before = seen.video;
    seen.video = video;
    seen.kinds = [...(video.decisions ?? seen.kinds)];
    title.textContent = video.prompt || "Video";
    show(parts.status, badge(video));
    show(parts.settings, settings(video));
    show(parts.told, video.error && problemBox(video.error));
    if (!before) lay(video);
    if (before?.status !== video.status) show(parts.buttons, actions(api, video, { signal, onChange, onProblem }));
    drawSteps();
    if (video.status === "completed" && before?.status !== "completed") await play(video);
  }

  function lay(video) {
    parts.screen.style.aspectRatio = video.size.replace("x", "/");
    show(
      root,
      h("div", { class: "heading" }, title, parts.status),
      h(
        "div",
        { class: "columns" },
        h("div", { class: "card" }, parts.screen, steps.element, legend(), parts.line, parts.told, parts.buttons),
        h("div", {}, parts.outcome, h("div", { class: "card" }, h("h2", {}, "Settings"), parts.settings)),
      ),
    );
  }

  function onStep(step) {
    if (step.kind) seen.kinds[step.step - 1] = step.kind === "full" ? "F" : "P";
    seen.done = Math.max(seen.done, step.step);
    seen.eta = step.eta_seconds;
    drawSteps();
  }

  function drawSteps() {
    const { video } = seen;
    const done = Math.max(seen.done, Math.floor((video.progress * video.steps) / 100));
    const kinds = Array.from(seen.kinds, (kind) => kind ?? "?").join("");
    const ended = video.status === "completed";
    steps.update({ steps: video.steps, kinds, done: ended ? video.steps : done, added: video.added_steps ?? [] });
    show(parts.line, progressLine(video, done, seen.eta ?? video.eta_seconds));
  }

  function onPreview({ image }) {
    if (seen.video?.status === "completed") return;
    show(parts.screen, h("img", { class: "result preview", src: image, alt: "What the video is like so far" }));
  }

  async function play(video) {
    show(parts.outcome, h("div", { class: "card" }, h("h2", {}, "Result"), outcome(video)));
    const url = await fileUrl(api, video.id, signal);
    show(parts.screen, player(url, { text: video.prompt }));
  }

  function onChange(video) {
    if (video === null) location.hash = "#gallery";
    else if (hasEnded(video)) onVideo(video);
  }

  const onProblem = (problem) => show(parts.told, problemBox(problem));
  const onLine = (problem) => show(parts.told.isConnected ? parts.told : root, problem && problemBox(problem));
  return follow(api, id, { signal, onVideo: (video) => void onVideo(video).catch(onProblem), onStep, onPreview, onLine });
}

/** The state of a Video in a word. */
export function badge(video) {
  const words = { queued: "queued", running: "running", completed: "completed", cancelled: "cancelled" };
  return h("span", { class: `badge ${video.state}` }, words[video.state] ?? "failed");
}

function progressLine(video, done, eta) {
  if (video.state === "queued") {
    const { queue_position: ahead } = video;
    return ahead ? `${plural(ahead, "job")} before it` : "Next to start";
  }
  if (video.state !== "running") return "";
  const left = eta === null || eta === undefined ? "" : `, about ${duration(eta)} left`;
  return done < video.steps ? `Step ${done} of ${video.steps}${left}` : `All ${video.steps} steps done; the frames are being made`;
}
