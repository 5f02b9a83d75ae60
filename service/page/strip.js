/** The schedule of a run: a cell for each step, filled where the model runs, hatched where its output is predicted. */

import { h, show } from "./dom.js";

/**
 * A strip. `update({steps, kinds, done})` draws it.
 *
 * steps: how many there are. kinds: a letter a step, F in full, P predicted, as far as they are known. done: how many
 * steps are over, all of them by default. added: steps computed beyond the plan, counted from 0.
 */
export function strip() {
  const cells = h("div", { class: "cells", "aria-hidden": "true" });
  const text = h("span", { class: "visually-hidden" });
  const element = h("div", { class: "strip" }, cells, text);
  let drawn = "";

  function update({ steps, kinds = "", done = steps, added = [] }) {
    const classes = Array.from({ length: steps }, (_, step) => cell(step, kinds[step], done, added));
    if (classes.join() === drawn) return;
    drawn = classes.join();
    show(cells, classes.map((name, step) => h("i", { class: name, title: title(step, kinds[step]) })));
    show(text, spoken(steps, kinds, done));
  }

  return { element, update };
}

/** What the filling of a cell means. */
export function legend() {
  return h(
    "p",
    { class: "legend" },
    h("span", {}, h("i", { class: "full" }), "computed in full"),
    h("span", {}, h("i", { class: "predicted" }), "predicted"),
  );
}

function cell(step, kind, done, added) {
  const name = { F: "full", P: "predicted" }[kind] ?? "unknown";
  return [name, step >= done && "ahead", added.includes(step) && "added"].filter(Boolean).join(" ");
}

function title(step, kind) {
  return `step ${step + 1}${{ F: ": computed in full", P: ": predicted" }[kind] ?? ""}`;
}

function spoken(steps, kinds, done) {
  const full = [...kinds].filter((kind) => kind === "F").length;
  const known = kinds.length ? `, ${full} of ${kinds.length} computed in full` : "";
  return done < steps ? `${done} of ${steps} steps done${known}` : `${steps} steps${known}`;
}
