/** Preference studies of the account: what is compared, who is invited, and what came of it. */

import { invitations } from "../blind/invitations.js";
import { newStudy } from "../blind/new_study.js";
import { results } from "../blind/results.js";
import { confirm } from "../confirm.js";
import { h, problemBox, say, show } from "../dom.js";
import { list } from "../facts.js";
import { moment, plural } from "../format.js";
import { completed, scenes } from "../scenes.js";
import { table } from "../table.js";

const LISTED = 500;
const PAUSE = 5000;

export function mount(root, api, { argument, signal }) {
  return argument ? one(root, api, argument, signal) : all(root, api, signal);
}

async function all(root, api, signal) {
  const told = h("div");
  const [studies, results] = await Promise.all([api.get("v1/studies", { signal }), completed(api, LISTED, signal)]);
  const form = newStudy(scenes(results), api, {
    signal,
    onProblem: (problem) => show(told, problemBox(problem)),
    onMade: ({ id }) => (location.hash = `#blind/${id}`),
  });
  const rows = studies.data.map((study) => [
    h("a", { href: `#blind/${study.id}` }, study.name),
    study.models.join(", "),
    String(study.pairs),
    String(study.votes),
    moment(study.created_at),
  ]);
  const columns = ["Name", "Models", { name: "Pairs", number: true }, { name: "Votes", number: true }, "Made"];
  show(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Blind test")),
    h("p", {}, "People see two results of one prompt and seed, and say which is better without knowing which setting made which. This tells which sf can be shipped."),
    h("section", { class: "card" }, h("h2", {}, "Studies"), table("Studies", columns, rows, "none yet")),
    form,
    told,
  );
}

async function one(root, api, id, signal) {
  const path = `v1/studies/${encodeURIComponent(id)}`;
  const head = h("div");
  const figures = h("div");
  const invited = h("div");
  const told = h("div");
  /** The address of an invitation that was just made stays in sight, whatever is drawn anew: it cannot be shown again. */
  const made = h("div", { role: "status" });
  show(root, head, figures, invited, told);
  const onProblem = (problem) => show(told, problemBox(problem));
  let drawn = "";

  async function refresh() {
    const [study, found] = await Promise.all([api.get(path, { signal }), api.get(`${path}/results`, { signal })]);
    if (JSON.stringify([study, found]) === drawn) return;
    drawn = JSON.stringify([study, found]);
    show(head, heading(study, buttons(study)), about(study));
    show(figures, results(found));
    show(invited, invitations(study, api, { signal, made, onProblem, onChange: refresh }));
  }

  function buttons(study) {
    return [
      h("button", { type: "button", onclick: () => save().catch(onProblem) }, "Download CSV"),
      h("button", { type: "button", class: "danger", onclick: () => remove(study).catch(onProblem) }, "Delete"),
    ];
  }

  async function save() {
    const url = URL.createObjectURL(await api.file(`${path}/results.csv`, { signal }));
    h("a", { href: url, download: `${id}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  async function remove(study) {
    if (!(await confirm(`Delete “${study.name}” with its ${plural(study.votes, "vote")}?`, "Delete"))) return;
    await api.delete(path, { signal });
    say("Deleted.");
    location.hash = "#blind";
  }

  await refresh();
  const timer = setInterval(() => refresh().catch((problem) => signal.aborted || onProblem(problem)), PAUSE);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function heading(study, buttons) {
  return h("div", { class: "heading" }, h("h1", {}, study.name), h("div", { class: "actions" }, buttons));
}

function about(study) {
  return h(
    "section",
    { class: "card" },
    list([
      ["Models", study.models.join(", ")],
      ["Settings", study.settings.join("; ")],
      ["Pairs", String(study.pairs)],
      ["Results are kept until", `${moment(study.shown_until)}, when every invitation ends`],
      ["Votes are kept until", moment(study.expires_at)],
      ["Id", h("code", {}, study.id)],
    ]),
  );
}
