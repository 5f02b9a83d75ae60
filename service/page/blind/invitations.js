/** Who may vote: the invitations to a study, each an address to send to people. */

import { copy, h, show } from "../dom.js";
import { moment } from "../format.js";
import { table } from "../table.js";

/**
 * made: where the address of a new one is shown. onChange: called with the study as it stands after one was revoked, or
 * with nothing after one was made.
 */
export function invitations(study, api, { signal, made, onChange, onProblem }) {
  const path = `v1/studies/${study.id}/invitations`;
  const guarded = (act) => (event) => {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    act().catch((problem) => signal.aborted || onProblem(problem)).finally(() => (pressed.disabled = false));
  };

  async function invite() {
    const { url } = await api.post(path, {}, { signal });
    const address = h("input", { readonly: true, value: url, "aria-label": "Address to vote at" });
    show(
      made,
      h("p", {}, "Send this address to the people who are to vote. It is shown this once; whoever has it can see the results of this study."),
      h("div", { class: "copied" }, address, h("button", { type: "button", onclick: guarded(() => copy(url)) }, "Copy"), h("a", { class: "button", href: `#${url.split("#")[1]}` }, "Vote yourself")),
    );
    address.select();
    await onChange();
  }

  const rows = study.invitations.map((each) => [
    moment(each.created_at),
    state(each),
    `${each.votes} of ${each.most_votes}`,
    isOpen(each) && h("button", { type: "button", class: "danger", onclick: guarded(async () => onChange(await api.delete(`${path}/${each.id}`, { signal }))) }, "End it"),
  ]);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Invitations"),
    table("Invitations", ["Made", "State", { name: "Votes", number: true }, "Action"], rows, "nobody was invited yet"),
    h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: guarded(invite) }, "Invite people")),
    made,
  );
}

function isOpen({ revoked, expires_at }) {
  return !revoked && expires_at > Date.now() / 1000;
}

function state(each) {
  if (each.revoked) return "ended by hand";
  return isOpen(each) ? `open until ${moment(each.expires_at)}` : "its time is over";
}
