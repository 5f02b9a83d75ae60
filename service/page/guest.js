/** Who was invited to a study: the API with an invitation in the place of a key, and where their ballot is kept. */

import { Api } from "./api.js";

const TOKEN = "scalingcache.invitation";
const BALLOT = "scalingcache.ballot.";

/** An API whose key is the invitation. It never touches the key of an account. */
export class GuestApi extends Api {
  #token;

  constructor(token) {
    super();
    this.#token = token;
  }

  get key() {
    return this.#token;
  }

  async put(path, body, settings) {
    return (await this.call("PUT", path, { ...settings, body })).json();
  }
}

/**
 * The invitation of the address, which is taken out of it and of the history, or else the tab's own. Null without any.
 */
export function invitation(argument) {
  if (argument) {
    sessionStorage.setItem(TOKEN, argument);
    history.replaceState(null, "", "#vote");
  }
  return sessionStorage.getItem(TOKEN);
}

/** The ballot of this browser for an invitation: it opens a new one where there is none, or the old one is unknown. */
export async function ballotOf(api, token, signal) {
  const place = BALLOT + token.split("_")[2];
  const known = localStorage.getItem(place);
  if (known) return api.get(`v1/ballots/${encodeURIComponent(known)}`, { signal });
  const ballot = await api.post("v1/ballots", undefined, { signal });
  localStorage.setItem(place, ballot.id);
  return ballot;
}
