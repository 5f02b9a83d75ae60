/** The request as a program makes it. */

import { callOf } from "./body.js";

/** By name, functions that write `fields` for a model. file: the name of a first frame, if there is one. */
export const SNIPPETS = { curl, Python: python, JSON: json };

const base = () => new URL(".", document.baseURI).href.replace(/\/$/, "");

function curl(model, fields, file, hasKey) {
  const key = hasKey ? ` \\\n     -H "authorization: Bearer $API_KEY"` : "";
  const url = `${base()}/${callOf(model)}`;
  if (file) {
    const parts = Object.entries(fields).map(([name, value]) => `--form-string ${name}=${quoted(String(value))}`);
    return `curl -s ${url}${key} \\\n     ${[...parts, `-F input_reference=@${quoted(file)}`].join(" \\\n     ")}`;
  }
  return `curl -s ${url}${key} \\\n     -H 'content-type: application/json' \\\n     -d ${quoted(JSON.stringify(fields))}`;
}

function python(model, fields, file, hasKey) {
  const { model: name, prompt, size, ...ours } = fields;
  const image = model.media === "image";
  const known = { model: name, prompt, ...(size && { size }) };
  const given = Object.entries(known).map(([key, value]) => `    ${key}=${literal(value)},`);
  if (file) given.push(`    input_reference=open(${literal(file)}, "rb"),`);
  given.push(`    extra_body=${literal(ours)},`);
  const save = image
    ? [`open("out.png", "wb").write(base64.b64decode(made.data[0].b64_json))`]
    : [`client.videos.download_content(made.id).write_to_file("out.mp4")`];
  return [
    ...(image ? ["import base64"] : []),
    ...(hasKey ? ["import os"] : []),
    "",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${base()}/v1", api_key=${hasKey ? `os.environ["API_KEY"]` : `"unused"`})`,
    `made = client.${image ? "images.generate" : "videos.create_and_poll"}(`,
    ...given,
    ")",
    ...save,
  ].join("\n").trimStart();
}

function json(model, fields) {
  return JSON.stringify(fields, null, 2);
}

/** For a POSIX shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** In Python: of texts, numbers and flat objects of these it is as in JSON. */
function literal(value) {
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${JSON.stringify(each)}`).join(", ")}}`;
}
