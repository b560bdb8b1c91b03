// The tasks of the service: how far each is, its files, and what can be done with it.

import * as api from "./api.js";
import { ACTIVE } from "./task.js";

const POLL_MS = 2000;
const byId = (id) => document.getElementById(id);

async function refresh() {
  try {
    const [status, { tasks }] = await Promise.all([api.sceneModel(), api.jsonAt("/tasks")]);
    showModel(status);
    byId("none").hidden = tasks.length > 0;
    document.querySelector("tbody").replaceChildren(...tasks.reverse().map(row));
    say(null);
  } catch (problem) {
    say(problem);
  }
}

function say(problem) {
  byId("error").hidden = !problem;
  byId("error").textContent = problem ? problem.message : "";
  byId("token-form").hidden = problem?.status !== 401;
}

function showModel({ model_dir: name, device, model_loaded: loaded, load_time: took, gallery, images }) {
  byId("to-gallery").hidden = !gallery;
  byId("to-images").hidden = !images;
  const facts = [
    ["Model", `${name} on ${device}`],
    ["State", loaded ? `loaded in ${took.toFixed(1)} s` : "is loaded for the first task"],
  ];
  byId("model").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
}

function element(kind, text) {
  const found = document.createElement(kind);
  found.textContent = text;
  return found;
}

function row(task) {
  const found = document.createElement("tr");
  const name = element("th", task.task_id.slice(0, 8));
  name.scope = "row";
  const share = task.progress === null ? "" : ` ${Math.round(task.progress * 100)} %`;
  const status = element("td", `${task.status}${task.status === "running" ? share : ""}`);
  status.className = task.status;
  const message = element("td", task.message.replace(/^\[[^\]]*\] /, ""));
  const actions = document.createElement("td");
  for (const [label, done] of actionsOf(task)) {
    const button = element("button", label);
    button.type = "button";
    button.setAttribute("aria-label", `${label} task ${task.task_id.slice(0, 8)}`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await done(task.task_id);
        await refresh();
      } catch (problem) {
        say(problem);
      }
    });
    actions.append(button, " ");
  }
  found.append(name, status, element("td", task.num_images), message, actions);
  return found;
}

function actionsOf(task) {
  if (ACTIVE.includes(task.status)) return [["Cancel", api.cancelTask]];
  const files = task.status === "completed" ? [["ZIP", download]] : [["Run again", api.resubmitTask]];
  return [...files, ["Delete", api.deleteTask]];
}

async function download(id) {
  api.save(await api.fileAt((await api.taskFiles(id)).zip, `${id}.zip`), `${id}.zip`);
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken(byId("token").value);
  refresh();
});
refresh();
setInterval(refresh, POLL_MS);
