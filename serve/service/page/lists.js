// What the service offers: models to choose from, and sample images.

import * as api from "./api.js";

const POLL_MS = 1500;
const LOADING = "The model is loading…";

// list: the select; say(problem or text). Asks again until no model is loading.
export async function listModels(list, say) {
  let models;
  try {
    models = await api.models();
  } catch (problem) {
    say(problem);
    return;
  }
  const before = list.value;
  list.replaceChildren(...models.map(option));
  if (models.some((model) => model.name === before && model.state === "ready")) list.value = before;
  list.disabled = !models.length;
  if (!models.length || models.some((model) => model.state === "loading")) {
    list.dataset.loading = "yes";
    say(LOADING);
    setTimeout(() => listModels(list, say), POLL_MS);
  } else if (list.dataset.loading) {
    delete list.dataset.loading;
    say("Ready.");
  }
}

function option(model) {
  const made = model.precision ? `, ${model.precision} on ${model.target}` : "";
  const waiting = model.state === "ready" ? "" : ` (${model.state})`;
  const found = new Option(`${model.name}${made}${waiting}`, model.name);
  found.disabled = model.state !== "ready";
  return found;
}

// place: the element with a list; take(file) runs an image
export async function listSamples(place, take, say) {
  const list = place.querySelector("ul");
  try {
    const found = await api.samples();
    place.hidden = !found.length;
    list.replaceChildren(...found.map((sample) => item(sample, take, say)));
  } catch (problem) {
    say(problem);
  }
}

function item({ name, url }, take, say) {
  const found = document.createElement("li");
  const button = document.createElement("button");
  const picture = document.createElement("img");
  button.type = "button";
  if (api.hasToken()) {
    api.fileAt(url, name).then((file) => (picture.src = URL.createObjectURL(file)), say);
  } else {
    picture.src = url;
  }
  picture.alt = `Sample: ${name}`;
  button.append(picture);
  button.addEventListener("click", async () => {
    try {
      await take(await api.fileAt(url, name));
    } catch (problem) {
      say(problem);
    }
  });
  found.append(button);
  return found;
}
