// The tab for many images: one job of the service, its progress, and its files.

import * as api from "./api.js";

const POLL_MS = 500;
const RUNNING = ["queued", "running"];
const STATES = {
  queued: "waiting for its turn",
  running: "under way",
  done: "done",
  failed: "failed",
};

export class Batch {
  // root: the panel; chosenModel() -> name; say(problem or text)
  constructor(root, chosenModel, say) {
    const find = (selector) => root.querySelector(selector);
    this.files = find("input[type=file]");
    this.start = find("[data-start]");
    this.cancel = find("[data-cancel]");
    this.bar = find("progress");
    this.said = find("[data-progress]");
    this.rows = find("tbody");
    this.shown = find("[data-job]");
    this.formats = [...root.querySelectorAll("input[name=batch-format]")];
    this.chosenModel = chosenModel;
    this.say = say;
    this.job = null;
    this.start.addEventListener("click", () => this.#begin());
    this.cancel.addEventListener("click", () => this.#end());
  }

  async #begin() {
    const images = [...this.files.files];
    const formats = this.formats.filter((box) => box.checked).map((box) => box.value);
    if (!images.length) return this.say(new api.Problem("Choose images first."));
    if (!formats.length) return this.say(new api.Problem("Choose at least one format."));
    this.start.disabled = true;
    this.say(`Sending ${images.length} images…`);
    try {
      this.#show(await api.startBatch(images, formats, this.chosenModel()));
      this.say("");
      await this.#follow();
    } catch (problem) {
      this.say(problem);
    } finally {
      this.start.disabled = false;
    }
    return undefined;
  }

  async #follow() {
    while (this.job && RUNNING.includes(this.job.state)) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (!this.job) return;
      const found = await api.batch(this.job.job);
      if (this.job) this.#show(found);
    }
  }

  async #end() {
    const { job } = this.job;
    this.job = null;
    this.cancel.hidden = true;
    this.said.textContent = "The job and its files are removed.";
    this.rows.replaceChildren();
    try {
      await api.removeBatch(job);
    } catch (problem) {
      this.say(problem);
    }
  }

  #show(job) {
    this.job = job;
    const ended = (job.done || 0) + (job.failed || 0);
    this.shown.hidden = false;
    this.cancel.hidden = false;
    this.cancel.textContent = RUNNING.includes(job.state) ? "Cancel and remove" : "Remove its files";
    this.bar.max = job.total;
    this.bar.value = ended;
    const failed = job.failed ? `, ${job.failed} failed` : "";
    const text = `${job.done || 0} of ${job.total} done${failed}: ${STATES[job.state] || job.state}`;
    if (this.said.textContent !== text) this.said.textContent = text;
    this.rows.replaceChildren(...(job.images || []).map(row));
  }
}

function row(image) {
  const found = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = image.name;
  const status = document.createElement("td");
  status.textContent = image.reason ? `${image.status}: ${image.reason}` : image.status;
  status.className = image.status;
  const files = document.createElement("td");
  for (const [format, url] of Object.entries(image.files || {})) files.append(link(format, url), " ");
  found.append(name, status, files);
  return found;
}

// A plain link is enough, unless the service wants a token with every request.
function link(format, url) {
  const found = document.createElement("a");
  const name = decodeURIComponent(url.split("/").pop());
  found.href = url;
  found.download = name;
  found.textContent = format.toUpperCase();
  found.addEventListener("click", async (event) => {
    if (!api.hasToken()) return;
    event.preventDefault();
    api.save(await api.fileAt(url, name), name);
  });
  return found;
}
