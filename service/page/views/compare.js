/** The same request at several settings: what each took, how it looks, and how far it is from the uncached one. */

import { figures } from "../compare/figures.js";
import { measure } from "../compare/measurement.js";
import { MOST, request } from "../compare/request.js";
import { stage } from "../compare/stage.js";
import { isImage, jobPath } from "../api.js";
import { h, problemBox, show } from "../dom.js";
import { follow, hasEnded } from "../events.js";
import { plural } from "../format.js";
import { fileUrl } from "../player.js";
import { byFullness, completed, scenes } from "../scenes.js";
import { table } from "../table.js";

const LISTED = 200;

export async function mount(root, api, { argument, signal }) {
  const ids = argument ? [...new Set(argument.split(","))] : [];
  if (ids.length >= 2 && ids.length <= MOST) return compare(root, api, ids, signal);
  const told = h("div");
  const models = (await api.get("v1/models", { signal })).data;
  const form = request(models, api, {
    signal,
    onProblem: (problem) => show(told, problemBox(problem)),
    onProgress: (text) => show(told, h("p", { class: "hint", role: "status" }, text)),
    onMade: (made) => (location.hash = addressOf(made)),
  });
  const wrong = ids.length > 0 && h("p", { class: "notice" }, `An address of this view names two to ${MOST} results, not ${ids.length}.`);
  show(root, heading("Compare"), wrong, form, told, await finished(api, signal));
}

function addressOf(ids) {
  return `#compare/${ids.join(",")}`;
}

function heading(title, prompt) {
  return h("div", { class: "heading" }, h("h1", {}, title), prompt && h("p", { class: "hint" }, prompt));
}

/** Results that were made already, where several differ in their setting alone. */
async function finished(api, signal) {
  const found = scenes(await completed(api, LISTED, signal));
  const rows = found.map(({ prompt, model, seed, picture, results }) => {
    const chosen = results.slice(0, MOST);
    const link = h("a", { href: addressOf(chosen.map(({ id }) => id)) }, prompt);
    const from = picture && h("p", { class: "hint" }, `from the picture ${picture.slice(0, 8)}…`);
    return [[link, from], model, String(seed), chosen.map(({ setting }) => setting).join("; ")];
  });
  const columns = ["Prompt", "Model", { name: "Seed", number: true }, "Settings"];
  return h("section", { class: "card" }, h("h2", {}, "Already made"), table("Finished results that can be compared", columns, rows, "none with one prompt and seed at several settings"));
}

async function compare(root, api, ids, signal) {
  const content = h("div");
  show(root, heading("Compare"), content);
  const videos = await Promise.all(ids.map((id) => api.get(jobPath(id), { signal })));
  await ended(content, api, videos, signal);
  if (signal.aborted) return;
  const good = byFullness(videos.filter(({ status }) => status === "completed"));
  const failed = videos.filter(({ status }) => status === "failed");
  show(root, heading("Compare", good[0]?.prompt), failed.map((video) => problemBox({ ...video.error, message: `${label(video)}: ${video.error.message}` })), content);
  show(content);
  if (good.length < 2) return void show(content, h("p", { class: "notice" }, "Fewer than two of these were made: there is nothing to compare."));
  const images = good.filter(({ id }) => isImage(id)).length;
  if (images && images < good.length) return void show(content, h("p", { class: "notice" }, "Some of these are videos and some are images: they cannot be compared."));
  await compared(content, api, good, signal);
}

function label(video) {
  return video.setting ?? `sf ${video.sf}`;
}

/** Wait for those that are not made yet, and say how far they are. */
async function ended(content, api, videos, signal) {
  const bars = videos.map((video) => h("progress", { max: 100, value: video.progress, "aria-label": `${label(video)} done` }));
  if (videos.every(hasEnded)) return;
  const cancel = async (event) => {
    event.currentTarget.disabled = true;
    await Promise.allSettled(videos.filter((video) => !hasEnded(video) && !isImage(video.id)).map(({ id }) => api.post(`${jobPath(id)}/cancel`, undefined, { signal })));
  };
  const stop = !videos.every(({ id }) => isImage(id)) && h("div", { class: "actions" }, h("button", { type: "button", onclick: cancel }, "Cancel those that are not made yet"));
  show(content, table("Progress", ["Setting", "Done"], videos.map((video, index) => [`sf ${video.sf}`, bars[index]])), stop);
  await Promise.all(
    videos.map(async (video, index) => {
      if (hasEnded(video)) return;
      await follow(api, video.id, {
        signal,
        onJob(latest) {
          videos[index] = latest;
          bars[index].value = latest.progress;
        },
        onStep: ({ progress }) => progress !== undefined && (bars[index].value = progress),
      });
    }),
  );
}

async function compared(content, api, videos, signal) {
  const urls = await Promise.all(videos.map(({ id }) => fileUrl(api, id, signal)));
  const sources = videos.map((video, index) => ({ url: urls[index], label: label(video), facts: video }));
  const [format, alike] = isImage(videos[0].id) ? await pictureFormat(urls) : videoFormat(videos);
  const below = figures(sources);
  const { element, transport } = stage(sources, format, { signal, alike, onFrame: below.mark });
  const mixed = videos.some(({ scene }) => scene !== videos[0].scene);
  const warning = mixed && h("p", { class: "notice" }, "These are not results of one request: their prompt, seed, first frame or other settings differ as well.");
  show(content, warning, element, below.element);
  if (transport) keys(transport.player, signal);
  if (!alike) return below.draw("Their sizes differ: frames cannot be compared one by one.");
  await measured(below, sources, format, signal);
}

function videoFormat(videos) {
  const [width, height] = videos[0].size.split("x").map(Number);
  const frames = Math.min(...videos.map((video) => video.frames));
  return [{ image: false, fps: videos[0].fps, frames, width, height }, videos.every(({ size, fps }) => size === videos[0].size && fps === videos[0].fps)];
}

async function pictureFormat(urls) {
  const pictures = urls.map((src) => Object.assign(new Image(), { src }));
  await Promise.all(pictures.map((picture) => picture.decode()));
  const sizes = pictures.map(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight]);
  const [[width, height]] = sizes;
  return [{ image: true, fps: 1, frames: 1, width, height }, sizes.every((size) => size.join() === sizes[0].join())];
}

async function measured(below, sources, format, signal) {
  let count = 0;
  try {
    await measure(sources, format, {
      signal,
      onFrame(index, found) {
        below.add(index, found);
        count += 1;
        if (count % 8 === 1) below.draw(`${plural(count, "frame")} compared …`);
      },
    });
    if (!signal.aborted) below.draw(format.image ? "" : `${count === format.frames ? "All" : `${count} of`} ${format.frames} frames compared, as this browser decodes them.`);
  } catch (error) {
    if (!signal.aborted) below.draw(`Not measured: ${error.message}.`);
  }
}

/** Space plays and stops, arrows step, unless a field has them. */
function keys(player, signal) {
  const acts = { " ": () => player.toggle(), ArrowLeft: () => player.step(-1), ArrowRight: () => player.step(1) };
  addEventListener(
    "keydown",
    (event) => {
      const act = acts[event.key];
      if (!act || event.target.closest("input, select, textarea, button, a, summary, dialog, [tabindex='0']")) return;
      event.preventDefault();
      act();
    },
    { signal },
  );
}
