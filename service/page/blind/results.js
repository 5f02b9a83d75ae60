/** What the votes of a study say. */

import { intervalBar } from "../charts.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { table } from "../table.js";

const COLUMNS = ["Setting", "Model", { name: "Votes", number: true }, "Preferred", "No difference", "Baseline preferred", "Score", "Says"];

export function results(found) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Results"),
    h("p", { class: "hint" }, `${plural(found.votes, "vote")} of ${plural(found.participants, "participant")}. Score: share of votes for the setting, where no difference counts half; 50 % where nobody can tell them apart. With 95 % confidence intervals.`),
    table("Results", COLUMNS, found.data.map(row)),
  );
}

function row(each) {
  return [
    [each.setting, h("p", { class: "hint" }, `against ${each.baseline}`)],
    each.model,
    String(each.votes),
    share(each.setting_share),
    share(each.no_difference_share),
    share(each.baseline_share),
    each.score && h("div", { class: "score" }, intervalBar(each.score, `score ${percent(each.score.mean)}`), h("div", {}, share(each.score))),
    verdict(each.score),
  ];
}

/** In percent, with its interval. */
function share(estimate) {
  if (!estimate) return null;
  return [percent(estimate.mean), h("p", { class: "hint" }, `${percent(estimate.low)} to ${percent(estimate.high)}`)];
}

function percent(part) {
  return `${Math.round(100 * part)} %`;
}

/** What the interval of a score lets one say. */
function verdict(score) {
  if (!score) return "no votes yet";
  if (score.low > 0.5) return "preferred to its baseline";
  if (score.high < 0.5) return "worse than its baseline";
  return `no difference shown; at worst ${percent(score.low)}`;
}
