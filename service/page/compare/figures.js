/** What each result took, and how near it is to the baseline. */

import { lineChart, MOST_SERIES } from "../charts.js";
import { h, show } from "../dom.js";
import { duration, times } from "../format.js";
import { table } from "../table.js";

const COLUMNS = ["Setting", "Steps in full", "Denoising", "On the device", "Faster", "PSNR", "SSIM"];

/** sources: `{label, facts}`, the baseline first, where facts are of a Video or image. */
export function figures(sources) {
  const measured = sources.slice(1).map(({ label }) => ({ label, psnr: [], ssim: [] }));
  const numbers = h("div");
  const curves = h("div", { class: "charts" });
  const state = h("p", { class: "hint", role: "status" });
  let charts = [];

  function add(index, found) {
    found.forEach(({ psnr, ssim }, place) => {
      measured[place].psnr.push({ x: index + 1, y: psnr });
      measured[place].ssim.push({ x: index + 1, y: ssim });
    });
  }

  function draw(text) {
    show(state, text);
    show(numbers, table("Time and fidelity", COLUMNS.map((name, index) => ({ name, number: index > 0 })), sources.map(row)));
    if (measured[0].psnr.length < 2) return;
    charts = [curve("psnr", "PSNR in dB"), curve("ssim", "SSIM")];
    show(curves, charts);
  }

  function curve(name, label) {
    const series = measured.map((each) => ({ name: each.label, points: each[name] }));
    return lineChart({ label: `${label} by frame, against ${sources[0].label}`, x: { label: "frame" }, y: { label }, series, marks: false });
  }

  function row({ label, facts }, index) {
    const spent = facts.timings;
    return [
      label,
      `${facts.full_steps} of ${facts.full_steps + facts.cached_steps}`,
      duration(spent.denoise),
      duration(spent.encode + spent.denoise + spent.decode),
      facts.engaged ? times(facts.speedup.measured) : "–",
      index === 0 ? "baseline" : mean(measured[index - 1].psnr, (value) => `${value.toFixed(1)} dB`),
      index === 0 ? "baseline" : mean(measured[index - 1].ssim, (value) => value.toFixed(3)),
    ];
  }

  draw("");
  return {
    element: h("div", { class: "card" }, h("h2", {}, "Time and fidelity"), numbers, measured.length > 1 && legend(measured), curves, state),
    add,
    draw,
    mark: (index) => charts.forEach((chart) => chart.mark(index + 1)),
  };
}

function mean(points, format) {
  const known = points.map(({ y }) => y).filter(Number.isFinite);
  return known.length ? format(known.reduce((sum, value) => sum + value, 0) / known.length) : null;
}

function legend(series) {
  return h(
    "p",
    { class: "legend" },
    series.map(({ label }, index) => h("span", { class: `s${index % MOST_SERIES}` }, h("i", { class: "ink" }), label)),
  );
}
