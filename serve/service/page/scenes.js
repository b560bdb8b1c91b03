// The page of scenes: images in, a task of the service, and the scene in 3D on screen.

import * as api from "./api.js";
import { boxOf, Cloud } from "./cloud.js";
import { DepthView } from "./depthview.js";
import { Measure } from "./measure.js";
import { levelRange, PALETTES } from "./palette.js";
import { Scene } from "./scene.js";
import { fileLink, followTask } from "./task.js";

const byId = (id) => document.getElementById(id);
const NPZ = "exports/npz/results.npz";
const NO_LINES = { positions: new Float32Array(0), colours: new Uint8Array(0) };
const state = { files: [], task: null, scene: null, view: 0, points: null, lines: null };

const cloud = new Cloud(byId("surface"), (text) => (byId("surface-note").textContent = text));
const picture = new DepthView(byId("picture"), showProbe);
const measure = new Measure(byId("picture"), pinned, showDistance);

function say(found) {
  const problem = found instanceof Error ? found : null;
  byId("error").hidden = !problem;
  byId("error").textContent = problem ? problem.message : "";
  byId("status").textContent = problem ? "" : found;
  if (problem?.status === 401) byId("token-form").hidden = false;
}

// What is asked.

function choose(files) {
  state.files = [...files];
  const count = state.files.length;
  byId("chosen").textContent = count === 1 ? state.files[0].name : `${count} images`;
  byId("start").disabled = !count;
}

function options() {
  const formats = [...document.querySelectorAll("input[name=format]:checked")].map((box) => box.value);
  return {
    export_format: ["npz", ...formats].join("-"),
    process_res: Number(byId("process-res").value),
    process_res_method: document.querySelector("input[name=process_res_method]:checked").value,
    conf_thresh_percentile: Number(byId("percentile").value),
    num_max_points: Number(byId("most").value) * 1000,
    filter_black_bg: byId("black").checked,
    filter_white_bg: byId("white").checked,
    video_fps: Number(byId("fps").value),
    ref_view_strategy: byId("strategy").value,
    use_ray_pose: byId("rays").checked,
    show_cameras: byId("in-files").checked,
  };
}

async function run() {
  const asked = options();
  busy(true);
  say(`Sending ${state.files.length} images…`);
  try {
    state.task = (await api.startScene(state.files, asked)).task_id;
    const task = await followTask(state.task, showProgress);
    if (task.status === "completed") await show(asked);
    else say(task.status === "cancelled" ? "Cancelled." : new api.Problem(task.message));
  } catch (problem) {
    say(problem);
  } finally {
    busy(false);
  }
}

function busy(whether) {
  document.body.classList.toggle("busy", whether);
  byId("start").disabled = whether || !state.files.length;
  byId("cancel").hidden = byId("progress").hidden = !whether;
  if (whether) showProgress({ progress: 0, message: "" });
  else state.task = null;
}

function showProgress({ progress, message }) {
  byId("progress").querySelector("progress").value = progress || 0;
  const text = message.replace(/^\[[^\]]*\] /, "");
  if (text && byId("status").textContent !== text) say(text);
}

async function cancel() {
  if (!state.task) return;
  try {
    await api.cancelTask(state.task);
  } catch (problem) {
    say(problem);
  }
}

// What came.

async function show(asked) {
  const { files, zip } = await api.taskFiles(state.task);
  const url = (name) => files.find((file) => file.name === name).url;
  const about = JSON.parse(await api.textAt(url("scene.json")));
  const names = about.cameras.map((camera) => camera.name);
  state.scene = new Scene(await api.bytesAt(url(NPZ)), names, about.unit);
  state.points = state.scene.points({
    most: asked.num_max_points,
    black: !asked.filter_black_bg,
    white: !asked.filter_white_bg,
  });
  state.lines = state.scene.pyramids(boxOf(state.points.positions)[1]);
  byId("result").hidden = false;
  byId("view").replaceChildren(...names.map((name, view) => new Option(`${view + 1}: ${name}`, view)));
  byId("sure").value = asked.conf_thresh_percentile;
  byId("sure").disabled = !state.scene.conf;
  const all = { name: "all files, as ZIP", url: zip, bytes: null };
  byId("downloads").replaceChildren(...[all, ...files].map((file) => fileLink(file, say)));
  measure.forget();
  showSure();
  draw();
  showView(0);
  say(`Done: ${names.length} views, ${state.points.positions.length / 3} points.`);
}

function draw() {
  const [from, to] = measure.pins;
  const marks = to ? state.scene.line(from.place, to.place) : null;
  cloud.show(state.points, byId("cameras").checked ? state.lines : NO_LINES, marks);
}

function showSure() {
  if (!state.scene) return;
  const share = state.scene.conf ? byId("sure").value / 100 : 0;
  cloud.least = share > 0 ? state.scene.confidenceAt(share) : -Infinity;
  const chosen = `${byId("sure").value} % (${cloud.least.toPrecision(3)})`;
  const none = state.scene.conf ? "all" : "this model gives none";
  byId("sure-text").textContent = share > 0 ? chosen : none;
  cloud.draw();
}

function showView(view) {
  const { scene } = state;
  state.view = view;
  const map = scene.map(view);
  createImageBitmap(scene.picture(view)).then((bitmap) => picture.showImage(bitmap, scene.width, scene.height));
  picture.showMap(map);
  const [low, high] = levelRange(map.values);
  picture.paint(PALETTES[byId("palette").value].colours, low, high, true);
  measure.draw(view, scene.width, scene.height);
}

function showProbe({ x, y, value }) {
  const unit = state.scene?.unit || "";
  byId("value").textContent = value > 0 ? `${value.toPrecision(4)} ${unit} at ${x}, ${y}` : `no depth at ${x}, ${y}`;
}

function pinned() {
  if (!state.scene) return null;
  const [x, y] = picture.at;
  return { view: state.view, x, y, place: state.scene.place(state.view, x, y) };
}

function showDistance() {
  byId("distance").textContent = measure.said(state.scene?.unit);
  if (!state.scene) return;
  measure.draw(state.view, state.scene.width, state.scene.height);
  if (state.points) draw();
}

function connect() {
  byId("files").addEventListener("change", ({ target }) => choose(target.files));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files);
  });
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("cancel").addEventListener("click", cancel);
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.useToken(byId("token").value);
    byId("token-form").hidden = true;
    say("");
    lookAround();
  });
  byId("sure").addEventListener("input", showSure);
  byId("size").addEventListener("input", ({ target }) => {
    cloud.size = Number(target.value);
    cloud.draw();
  });
  byId("cameras").addEventListener("change", draw);
  byId("home").addEventListener("click", () => cloud.home());
  byId("view").addEventListener("change", ({ target }) => showView(Number(target.value)));
  byId("palette").append(...Object.entries(PALETTES).map(([name, { label }]) => new Option(label, name)));
  byId("palette").addEventListener("change", () => showView(state.view));
  byId("forget").addEventListener("click", () => measure.forget());
}

// What the service has; without its token, a form for the token.
async function lookAround() {
  try {
    const { gallery, images } = await api.sceneModel();
    byId("to-gallery").hidden = !gallery;
    byId("to-images").hidden = !images;
  } catch (problem) {
    say(problem);
  }
}

connect();
showDistance();
lookAround();
