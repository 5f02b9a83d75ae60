/** How much of a prompt the text encoder reads. */

import { plural } from "../format.js";

/**
 * `{text, isCut, isExact}`. most: tokens that the encoder reads. estimate: the answer to an estimate of
 * this prompt, which has the count where a worker was there to tell it; else it is guessed by words.
 */
export function promptLength(prompt, most, estimate) {
  const words = prompt.trim().split(/\s+/).filter(Boolean).length;
  const { prompt_tokens: tokens, prompt_token_limit: limit } = estimate ?? {};
  if (words && Number.isInteger(tokens) && Number.isInteger(limit)) {
    const beyond = tokens - limit;
    const text = `${tokens} of ${plural(limit, "token")}`;
    return beyond > 0 ? { text: `${text}: the last ${beyond} will not be read`, isCut: true, isExact: true } : { text, isCut: false, isExact: true };
  }
  const isCut = words > most;
  const beyond = isCut ? ": what is beyond will not be read" : "";
  const isExact = false;
  return { text: `About ${plural(words, "word")}; the text encoder reads ${most} tokens, of which a word has one or more${beyond}`, isCut, isExact };
}
