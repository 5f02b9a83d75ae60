/** Figures as SVG. What they show also stands in a table or a text beside them; screen readers get the label. */

import { svg } from "./dom.js";

const WIDTH = 460;
const HEIGHT = 240;
const MARGIN = { left: 52, right: 14, top: 12, bottom: 40 };
/** How many series have a look of their own in style.css. */
export const MOST_SERIES = 4;

/**
 * Lines over two axes.
 *
 * label: what it shows, for who cannot see it. x, y: `{label, format}`. series: `{name, points: [{x, y, low, high, text}]}`,
 * where low and high are an interval of y and text names a point. Points whose y is no number are left out.
 * Returns the element, with a method `mark(x)` that draws a line there, and none for null.
 */
export function lineChart({ label, x, y, series, marks = true }) {
  const shown = series.map((each) => ({ ...each, points: each.points.filter((point) => Number.isFinite(point.y)) }));
  const points = shown.flatMap((each) => each.points);
  const across = scale(points.map((point) => point.x), MARGIN.left, WIDTH - MARGIN.right);
  const up = scale(points.flatMap(({ y, low = y, high = y }) => [y, low, high]), HEIGHT - MARGIN.bottom, MARGIN.top);
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
  const element = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    axes(across, up, x, y),
    cursor,
    shown.map((each, index) => line(each.points, index, across.place, up.place, marks)),
  );
  element.mark = (at) => {
    cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) cursor.setAttribute(end, across.place(at));
  };
  return element;
}

/**
 * An interval from 0 to 1 with its mean, and a line where `middle` is.
 */
export function intervalBar({ mean, low, high }, label, middle = 0.5) {
  const at = (value) => 4 + 152 * value;
  return svg(
    "svg",
    { class: "interval", viewBox: "0 0 160 20", role: "img", "aria-label": label },
    svg("line", { class: "axis", x1: at(0), x2: at(1), y1: 10, y2: 10 }),
    svg("line", { class: "middle", x1: at(middle), x2: at(middle), y1: 2, y2: 18 }),
    svg("line", { class: "range", x1: at(low), x2: at(high), y1: 10, y2: 10 }),
    svg("circle", { class: "mean", cx: at(mean), cy: 10, r: 4 }),
  );
}

function axes(across, up, x, y) {
  const bottom = HEIGHT - MARGIN.bottom;
  return [
    up.ticks.map((value) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: up.place(value), y2: up.place(value) }),
      svg("text", { x: MARGIN.left - 6, y: up.place(value) + 4, "text-anchor": "end" }, tick(value, y)),
    ]),
    across.ticks.map((value) =>
      svg("text", { x: across.place(value), y: bottom + 16, "text-anchor": "middle" }, tick(value, x)),
    ),
    svg("line", { class: "axis", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: bottom, y2: bottom }),
    svg("text", { class: "name", x: (MARGIN.left + WIDTH - MARGIN.right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x.label),
    svg(
      "text",
      { class: "name", transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      y.label,
    ),
  ];
}

function line(points, index, across, up, marks) {
  const path = points.map((point, place) => `${place ? "L" : "M"}${across(point.x).toFixed(1)} ${up(point.y).toFixed(1)}`);
  return svg(
    "g",
    { class: `series s${index % MOST_SERIES}` },
    points.map(({ x, low, high }) =>
      low === undefined ? null : svg("line", { class: "range", x1: across(x), x2: across(x), y1: up(low), y2: up(high) }),
    ),
    svg("path", { d: path.join("") }),
    marks && points.map((point) => svg("circle", { cx: across(point.x), cy: up(point.y), r: 3.5 }, point.text && svg("title", {}, point.text))),
    marks && readable(points, across).map((point) => svg("text", { x: across(point.x) + 6, y: up(point.y) - 7 }, point.text)),
  );
}

/** Points whose names do not run into each other: the others are named by their titles alone. */
function readable(points, across) {
  let end = -Infinity;
  const named = points.filter((point) => point.text).toSorted((one, other) => one.x - other.x);
  return named.filter((point) => {
    const from = across(point.x) + 6;
    if (from < end + 4) return false;
    end = from + 6 * point.text.length;
    return true;
  });
}

function tick(value, { format = String }) {
  return format(value);
}

/** Where values are drawn between two ends, and round values between the least and the greatest of them. */
export function scale(values, from, to) {
  let [least, most] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  if (least === most) [least, most] = [least - 0.5, most + 0.5];
  const room = (most - least) * 0.05;
  [least, most] = [least - room, most + room];
  const ticks = roundValues(least, most, 5);
  return { ticks, place: (value) => from + ((value - least) / (most - least)) * (to - from) };
}

/** Up to so many multiples of 1, 2 or 5 times a power of ten. */
export function roundValues(least, most, count) {
  const raw = (most - least) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const first = Math.ceil(least / step);
  const last = Math.floor(most / step);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toFixed(digits)));
}
