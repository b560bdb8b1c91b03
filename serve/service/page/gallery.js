// The gallery: groups of scenes, a search, and each scene in 3D with the depth of its views.

import * as api from "./api.js";
import { Cloud } from "./cloud.js";
import { readGlb } from "./glb.js";
import { Pages } from "./pages.js";

const byId = (id) => document.getElementById(id);
const [SCENES, DEPTHS] = [16, 4]; // on a page
const NO_LINES = { positions: new Float32Array(0), colours: new Uint8Array(0) };
const state = { group: null, items: [], shown: null };

const cloud = new Cloud(byId("surface"), (text) => (byId("surface-note").textContent = text));
const pages = new Pages(SCENES, ["pages", "before", "page", "after"].map(byId), showCards);
const depths = new Pages(DEPTHS, ["depth-pages", "depth-before", "depth-page", "depth-after"].map(byId), showDepths);

function say(problem) {
  byId("error").hidden = !problem;
  byId("error").textContent = problem ? problem.message : "";
  byId("token-form").hidden = problem?.status !== 401;
}

async function tried(work) {
  try {
    say(null);
    await work();
  } catch (problem) {
    say(problem);
  }
}

// The address names the group and the scene, so that a link leads back to them.
async function follow() {
  const [group, scene] = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (!group) await showGroups();
  else if (state.group !== group) await showGroup(group);
  byId("scene").hidden = !scene;
  const found = scene && state.items.find((item) => item.id === scene);
  if (found) await showScene(found);
  else if (scene) say(new api.Problem(`There is no scene ${scene} in this group.`));
}

async function showGroups() {
  const { groups } = await api.jsonAt("manifest.json");
  Object.assign(state, { group: null, items: groups });
  byId("back").hidden = true;
  search();
}

async function showGroup(group) {
  const { items } = await api.jsonAt(`manifest/${encodeURIComponent(group)}.json`);
  Object.assign(state, { group, items });
  byId("search").value = "";
  byId("back").hidden = false;
  search();
}

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/);
  const found = state.items.filter(({ title }) => words.every((word) => title.toLowerCase().includes(word)));
  const what = state.group === null ? "groups" : `scenes of ${state.group}`;
  byId("status").textContent = `${found.length} ${what}`;
  pages.show(found);
}

function showCards(items) {
  byId("items").replaceChildren(...items.map(card));
}

function card({ id, title, thumbnail }) {
  const found = document.createElement("li");
  const link = document.createElement("a");
  const path = state.group === null ? [id] : [state.group, id];
  link.href = `#${path.map(encodeURIComponent).join("/")}`;
  if (thumbnail) link.append(image(thumbnail, ""));
  link.append(title);
  found.append(link);
  return found;
}

function image(url, text) {
  const found = document.createElement("img");
  found.alt = text;
  found.loading = "lazy";
  api.pictureAt(url).then((address) => (found.src = address), say);
  return found;
}

async function showScene(item) {
  byId("h-scene").textContent = item.title;
  byId("h-scene").focus();
  byId("model").href = await api.pictureAt(item.model);
  depths.show(item.depth_images);
  delete byId("surface").dataset.drawn;
  state.shown = readGlb(await api.bytesAt(item.model));
  draw();
  byId("surface").dataset.drawn = "yes";
}

function draw() {
  if (state.shown) cloud.show(state.shown.points, byId("cameras").checked ? state.shown.lines : NO_LINES);
}

function showDepths(urls, from) {
  byId("depths").replaceChildren(
    ...urls.map((url, number) => {
      const found = document.createElement("li");
      found.append(image(url, `View ${from + number + 1}: image and depth`));
      return found;
    }),
  );
}

byId("search").addEventListener("input", search);
byId("back").addEventListener("click", () => (location.hash = ""));
byId("size").addEventListener("input", ({ target }) => {
  cloud.size = Number(target.value);
  cloud.draw();
});
byId("cameras").addEventListener("change", draw);
byId("home").addEventListener("click", () => cloud.home());
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken(byId("token").value);
  tried(follow);
});
window.addEventListener("hashchange", () => tried(follow));
tried(follow);
