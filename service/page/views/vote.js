/** Two results at a time, and which is better: for who was invited, with the keyboard alone if they like. */

import { h, problemBox, show } from "../dom.js";
import { plural } from "../format.js";
import { ballotOf, GuestApi, invitation } from "../guest.js";

const CHOICES = [
  { choice: "left", key: "ArrowLeft", label: "← Left is better" },
  { choice: "no_difference", key: "ArrowDown", label: "↓ No difference" },
  { choice: "right", key: "ArrowRight", label: "Right is better →" },
];

export async function mount(root, _, { argument, signal }) {
  const token = invitation(argument);
  if (!token) return void show(root, h("p", { class: "notice" }, "Nothing to vote on: open the address that you were sent."));
  const api = new GuestApi(token);
  try {
    await voting(root, api, await ballotOf(api, token, signal), signal);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    show(root, h("h1", {}, "Blind test"), problemBox(problem));
  }
}

async function voting(root, api, opened, signal) {
  let ballot = opened;
  let current = null;
  let leave = new AbortController();
  let toggle = null;
  const bar = h("progress", { max: ballot.pairs, "aria-label": "Pairs judged" });
  const told = h("p", { class: "hint", role: "status" });
  const place = h("div");
  show(root, h("div", { class: "heading" }, h("h1", {}, ballot.name), h("p", { class: "hint" }, bar, " ", told)), place);
  addEventListener("keydown", onKey, { signal });
  signal.addEventListener("abort", () => leave.abort());
  await go(ballot.next);

  /** Show a pair; where its files are gone, the next one. */
  async function go(position) {
    leave.abort();
    leave = new AbortController();
    current = null;
    bar.value = ballot.voted;
    show(told, `${ballot.voted} of ${plural(ballot.pairs, "pair")}`);
    if (!position || position > ballot.pairs) return void show(place, thanks());
    const path = `v1/ballots/${ballot.id}/pairs/${position}`;
    try {
      const pair = await api.get(path, { signal: leave.signal });
      const files = await Promise.all([pair.left, pair.right].map((side) => api.file(side, { signal: leave.signal })));
      current = { ...pair, path };
      show(place, shown(pair, files, leave.signal));
      place.querySelector("h2").focus({ preventScroll: true });
    } catch (problem) {
      if (problem.status === 410) return go(position + 1);
      if (!signal.aborted && problem.name !== "AbortError") show(place, problemBox(problem, () => go(position)));
    }
  }

  async function vote(choice) {
    if (!current) return;
    const { path, position } = current;
    current = null;
    try {
      ballot = await api.put(path, { choice }, { signal });
      await go(ballot.next && (ballot.next > position || ballot.voted === ballot.pairs) ? ballot.next : position + 1);
    } catch (problem) {
      if (!signal.aborted) show(place, problemBox(problem, () => go(position)));
    }
  }

  function onKey(event) {
    if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const chosen = CHOICES.find(({ key }) => key === event.key);
    if (chosen) void vote(chosen.choice);
    else if (event.key === "Backspace" && current?.position > 1) void go(current.position - 1);
    else if (event.key === " " && toggle && !event.target.closest("button, a")) toggle.click();
    else return;
    event.preventDefault();
  }

  function shown(pair, files, until) {
    const media = files.map((file, index) => medium(file, pair.media, index ? "right" : "left", until));
    toggle = pair.media === "video" ? together(media) : null;
    return [
      h("h2", { tabindex: "-1" }, `Pair ${pair.position} of ${ballot.pairs}: ${pair.prompt}`),
      h("div", { class: "screens two" }, media.map((each, index) => h("figure", {}, each, h("figcaption", {}, index ? "right" : "left")))),
      h("div", { class: "actions votes" }, CHOICES.map(({ choice, label }) => h("button", { type: "button", class: "wide", "aria-pressed": pair.choice ? String(pair.choice === choice) : null, onclick: () => vote(choice) }, label))),
      h("p", { class: "hint" }, "Which is better, by how it looks and how it follows the prompt? Use the keys ← ↓ → to choose, Space to stop and go on, and Backspace to go back."),
      h("div", { class: "actions" }, toggle, h("button", { type: "button", class: "plain", disabled: pair.position === 1, onclick: () => go(pair.position - 1) }, "Back")),
    ];
  }

  function thanks() {
    const missed = ballot.pairs - ballot.voted;
    return h(
      "div",
      { class: "card" },
      h("h2", { tabindex: "-1" }, "Thank you"),
      h("p", {}, missed ? `${plural(ballot.voted, "pair")} judged; ${plural(missed, "pair")} could not be shown or was left out.` : "All pairs are judged. You can close this page."),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => go(1) }, "Look through them again")),
    );
  }
}

function medium(file, media, side, until) {
  const url = URL.createObjectURL(file);
  until.addEventListener("abort", () => URL.revokeObjectURL(url), { once: true });
  if (media === "image") return h("img", { src: url, alt: `the ${side} one` });
  const video = h("video", { src: url, "aria-label": `the ${side} one`, playsinline: true });
  video.muted = true;
  return video;
}

/** Neither runs ahead: they start together, and begin anew when both are over. The button stops both. */
function together(videos) {
  const button = h("button", { type: "button", onclick: () => run(!running) }, "Play");
  let running = false;
  let ready = 0;

  function run(on) {
    running = on;
    show(button, on ? "Pause" : "Play");
    for (const video of videos) {
      if (on) void video.play().catch(() => {});
      else video.pause();
    }
  }

  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const video of videos) {
    video.addEventListener("canplaythrough", () => (ready += 1) === videos.length && !still && run(true), { once: true });
    video.addEventListener("ended", () => videos.every((each) => each.ended) && run(true));
  }
  return button;
}
