// The service as the page uses it. Every failure becomes a Problem, whose text says what to do.

import { readNpz } from "./npz.js";

export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const GONE =
  "The service does not answer. Check that it still runs, start it again with `make app`, and try again.";
let token = "";

export function useToken(text) {
  token = text.trim();
}

export function hasToken() {
  return token !== "";
}

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const answer = await answered(fetch(path, { ...options, headers }));
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

// A failed fetch, or a body that breaks off, is a TypeError in every browser.
async function answered(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(GONE);
  }
}

async function problemOf(answer) {
  let text = "";
  try {
    text = (await answer.json()).error;
  } catch {
    // Not JSON: something between the page and the service answered.
  }
  text = text || `The service answered with status ${answer.status}.`;
  const after = Number(answer.headers.get("Retry-After"));
  if (after > 0) text = `${text.replace(/\.?$/, ".")} Try again in ${after} s.`;
  return new Problem(text, answer.status);
}

async function json(path, options) {
  return answered((await ask(path, options)).json());
}

export async function models() {
  return (await json("/v1/models")).models;
}

// Whether the service also makes scenes of several images.
export async function hasScenes() {
  return (await json("/v1/models")).scenes === true;
}

// The sample images that the service offers; none if it knows no such path.
export async function samples() {
  try {
    return (await json("/v1/samples")).samples;
  } catch (problem) {
    if (problem.status === 404) return [];
    throw problem;
  }
}

export async function fileAt(url, name) {
  const blob = await answered((await ask(url)).blob());
  return new File([blob], name, { type: blob.type });
}

export async function bytesAt(url) {
  return answered((await ask(url)).arrayBuffer());
}

export async function textAt(url) {
  return answered((await ask(url)).text());
}

// A picture that needs a token becomes a blob; any other is its own address.
export async function pictureAt(url) {
  return hasToken() ? URL.createObjectURL(await fileAt(url, "picture")) : url;
}

// options: model, fov_deg, output_size; empty values are left out.
function depthPath(options) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) if (value) query.set(name, value);
  return `/v1/depth?${query}`;
}

function post(options, image, signal) {
  const headers = { "Content-Type": "application/octet-stream" };
  return ask(depthPath(options), { method: "POST", body: image, headers, signal });
}

// -> { maps: name -> { values, height, width }, about, fov, timing }; `about` as the .json beside files.
export async function depth(image, options, signal) {
  const answer = await post({ ...options, format: "npz" }, image, signal);
  const arrays = readNpz(await answered(answer.arrayBuffer()));
  const { meta, ...maps } = arrays;
  if (!maps.depth || typeof meta !== "string") throw new Problem("The answer has no depth in it.");
  const { headers } = answer;
  return { maps, about: JSON.parse(meta), fov: fovOf(headers), timing: timings(headers.get("Server-Timing")) };
}

// The same depth in another format.
export async function depthFile(image, options, signal) {
  return answered((await post(options, image, signal)).blob());
}

// The camera that the service's own exports have.
export function fovOf(headers) {
  return { degrees: Number(headers.get("Depth-Fov-Deg")), source: headers.get("Depth-Fov-Source") };
}

// "read;dur=1.2, network;dur=3" -> [["read", 1.2], ["network", 3]], in ms.
export function timings(header) {
  const found = [];
  for (const part of (header || "").split(",")) {
    const [name, ...rest] = part.trim().split(";");
    const duration = rest.find((each) => each.trim().startsWith("dur="));
    if (name && duration) found.push([name, Number(duration.trim().slice(4))]);
  }
  return found;
}

export async function startBatch(images, formats, model) {
  const body = new FormData();
  for (const image of images) body.append("images", image, image.name);
  const query = new URLSearchParams(formats.map((format) => ["format", format]));
  if (model) query.set("model", model);
  return json(`/v1/batch?${query}`, { method: "POST", body });
}

export function batch(id) {
  return json(`/v1/batch/${encodeURIComponent(id)}`);
}

export async function removeBatch(id) {
  await ask(`/v1/batch/${encodeURIComponent(id)}`, { method: "DELETE" });
}

// options: as the fields of POST /inference
export function startScene(images, options) {
  const body = new FormData();
  for (const image of images) body.append("images", image, image.name);
  body.append("request", JSON.stringify(options));
  return json("/inference", { method: "POST", body });
}

export function sceneModel() {
  return json("/status");
}

export function task(id) {
  return json(`/task/${encodeURIComponent(id)}`);
}

export function taskFiles(id) {
  return json(`/task/${encodeURIComponent(id)}/files`);
}

export function cancelTask(id) {
  return json(`/task/${encodeURIComponent(id)}/cancel`, { method: "POST" });
}

export function resubmitTask(id) {
  return json(`/task/${encodeURIComponent(id)}/resubmit`, { method: "POST" });
}

export function deleteTask(id) {
  return json(`/task/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export function jsonAt(path) {
  return json(path);
}

export function openapi() {
  return json("/openapi.json");
}

// Give bytes to the browser's own way of saving files.
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
