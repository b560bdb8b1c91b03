// The page: an image in, its depth on screen. What each part draws is in the module of its name.

import * as api from "./api.js";
import { Batch } from "./batch.js";
import { DepthView } from "./depthview.js";
import { fieldOfView, showFacts } from "./facts.js";
import { Histogram, said } from "./histogram.js";
import { listModels, listSamples } from "./lists.js";
import { mesh } from "./mesh.js";
import { PALETTES } from "./palette.js";
import { Surface } from "./surface.js";

const byId = (id) => document.getElementById(id);
// asked: the image that was given last; image: the image whose result is on screen
const state = { asked: null, image: null, result: null, bitmap: null, working: null };
const view = new DepthView(byId("picture"), showProbe);
const histogram = new Histogram(byId("histogram"), () => paintSoon());
const surface = new Surface(byId("surface"), (text) => {
  byId("surface-note").dataset.why = text;
  noteSurface();
});
const PATIENT_MS = 3000;
const PATIENCE = "The first image of a shape may wait for its program, up to some minutes.";
let painting = 0;

// Words for people.

function say(found) {
  const problem = found instanceof Error ? found : null;
  if (problem?.name === "AbortError") return;
  const box = byId("error");
  box.hidden = !problem;
  box.textContent = problem ? problem.message : "";
  byId("status").textContent = problem ? "" : found;
  if (problem?.status === 401) byId("token-form").hidden = false;
}

function busy(whether, text = "") {
  document.body.classList.toggle("busy", whether);
  byId("one").setAttribute("aria-busy", whether);
  if (text) say(text);
}

// An image in.

function options() {
  return { model: byId("model").value, fov_deg: byId("fov").value };
}

async function take(image) {
  state.asked = image;
  await run();
}

async function run() {
  const image = state.asked;
  if (!image) return;
  state.working?.abort();
  const working = new AbortController();
  state.working = working;
  const name = image.name || "the image";
  busy(true, `Working on ${name}…`);
  const slow = setTimeout(() => say(`Working on ${name}… ${PATIENCE}`), PATIENT_MS);
  try {
    const [result, bitmap] = await Promise.all([
      api.depth(image, options(), working.signal),
      createImageBitmap(image).catch(() => null), // a format that only the service reads
    ]);
    if (state.working === working) show(image, result, bitmap);
  } catch (problem) {
    // The service knows bytes, people know the file's name.
    if (problem instanceof api.Problem) problem.message = problem.message.replace("the given bytes", name);
    if (state.working === working) say(problem);
  } finally {
    clearTimeout(slow);
    if (state.working === working) busy(false);
  }
}

function show(image, result, bitmap) {
  Object.assign(state, { image, result, bitmap });
  const { height, width } = bitmap || result.maps.depth;
  const layers = byId("layer");
  const names = ["depth", ...Object.keys(result.maps).filter((name) => name !== "depth")];
  layers.replaceChildren(...names.map((name) => new Option(name)));
  byId("result").hidden = false;
  view.showImage(bitmap, width, height);
  showLayer();
  showFacts(byId("facts"), result);
  buildSurface();
  say(bitmap ? "Done." : "Done. This browser cannot show the image's format, so depth stands alone.");
}

// What is on screen.

// The description is of depth; other layers have no unit.
const MEANINGS = { sky: "larger is more surely sky", confidence: "larger is more certain; no unit" };

function about(name = byId("layer").value) {
  return state.result.about.maps[name] || { kind: name, unit: null, meaning: MEANINGS[name] || "" };
}

function flipped() {
  return !["relative_inverse", "sky", "confidence"].includes(about().kind);
}

function showLayer() {
  const map = state.result.maps[byId("layer").value];
  for (const [id, size] of [["probe-x", map.width], ["probe-y", map.height]]) byId(id).max = size - 1;
  histogram.show(map.values, about().unit);
  byId("meaning").textContent = about().meaning;
  view.showMap(map);
  paint();
}

function paintSoon() {
  painting ||= requestAnimationFrame(paint);
}

function paint() {
  painting = 0;
  if (!state.result) return;
  const { colours } = PALETTES[byId("palette").value];
  view.paint(colours, ...histogram.range, flipped());
  histogram.paint(colours, flipped());
  if (byId("skin").value === "depth" || !state.bitmap) surface.repaint(view.depth);
}

function showProbe({ x, y, value, byKey }) {
  const output = byId("value");
  output.setAttribute("aria-live", byKey ? "polite" : "off");
  output.textContent = said(value, about().unit || "(no unit)", 7);
  if (document.activeElement !== byId("probe-x")) byId("probe-x").value = x;
  if (document.activeElement !== byId("probe-y")) byId("probe-y").value = y;
}

function buildSurface() {
  if (byId("solid").hidden || !state.result) return;
  const { maps } = state.result;
  const picture = byId("skin").value === "depth" || !state.bitmap ? view.depth : view.image;
  const found = mesh(maps.depth, about("depth").kind, maps.sky, fieldOfView(state.result)[0]);
  surface.show(found, picture);
  noteSurface();
}

function noteSurface() {
  if (!state.result) return;
  const [degrees, source] = fieldOfView(state.result);
  const scale = about("depth").kind === "metres" ? "" : " Proportions are not true: depth has no unit.";
  const fov = `Field of view ${said(degrees, "", 3)}° (${source}).${scale}`;
  byId("surface-note").textContent = byId("surface-note").dataset.why || fov;
}

async function download(button) {
  const { format } = button.dataset;
  const stem = (state.image.name || "image").replace(/\.[^.]*$/, "");
  const layer = byId("layer").value;
  const map = format === "glb" || layer === "depth" ? "" : layer;
  button.disabled = true;
  say(`Making ${format.toUpperCase()}…`);
  try {
    const blob = await api.depthFile(state.image, { ...options(), format, map });
    api.save(blob, `${stem}${map && `.${map}`}.${format}`);
    say(`Saved ${stem}${map && `.${map}`}.${format}.`);
  } catch (problem) {
    say(problem);
  } finally {
    button.disabled = false;
  }
}

// Controls.

function chooseMode() {
  const mode = document.querySelector("input[name=mode]:checked").value;
  const solid = mode === "surface";
  byId("flat").hidden = solid;
  byId("solid").hidden = !solid;
  byId("picture").classList.toggle("over", mode === "over");
  byId("picture").classList.toggle("beside", mode === "beside");
  byId("wipe-row").hidden = mode !== "over";
  buildSurface();
}

function chooseTab(tab) {
  for (const each of document.querySelectorAll("[role=tab]")) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
    byId(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  byId("fov").parentElement.hidden = tab.id !== "tab-one"; // jobs take no camera
}

function connectTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => chooseTab(tab));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
      chooseTab(other);
      other.focus();
    });
  }
}

function connectInputs() {
  byId("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file) take(file);
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
  byId("model").addEventListener("change", run);
  byId("fov").addEventListener("change", run);
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.useToken(byId("token").value);
    say("");
    listModels(byId("model"), say);
    listSamples(byId("samples"), take, say);
    linkScenes();
    run();
  });
}

function connectView() {
  for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", chooseMode);
  byId("wipe").addEventListener("input", ({ target }) => view.wipe(target.value / 100));
  byId("layer").addEventListener("change", showLayer);
  byId("palette").append(...Object.entries(PALETTES).map(([name, { label }]) => new Option(label, name)));
  byId("palette").addEventListener("change", paint);
  byId("skin").addEventListener("change", buildSurface);
  byId("home").addEventListener("click", () => surface.home());
  for (const id of ["probe-x", "probe-y"]) {
    byId(id).addEventListener("input", () => view.probe(byId("probe-x").value, byId("probe-y").value, true));
  }
  for (const button of document.querySelectorAll("[data-format]")) {
    button.addEventListener("click", () => download(button));
  }
}

async function linkScenes() {
  try {
    byId("to-scenes").hidden = !(await api.hasScenes());
  } catch (problem) {
    say(problem);
  }
}

connectTabs();
connectInputs();
connectView();
new Batch(byId("many"), () => byId("model").value, say);
listModels(byId("model"), say);
listSamples(byId("samples"), take, say);
linkScenes();
