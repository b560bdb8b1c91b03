// A task of the service, followed to its end, and its files.

import * as api from "./api.js";

const POLL_MS = 400;

export const ACTIVE = ["pending", "running"];

// show(task): called each time; -> the task that has ended
export async function followTask(id, show) {
  for (;;) {
    const task = await api.task(id);
    show(task);
    if (!ACTIVE.includes(task.status)) return task;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

// An item of a list that saves a file: { name, url, bytes or null }. say(problem)
export function fileLink({ name, url, bytes }, say) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const saved = decodeURIComponent(url.split("/").pop());
  link.href = url;
  link.download = saved;
  link.textContent = name;
  link.addEventListener("click", async (event) => {
    if (!api.hasToken()) return;
    event.preventDefault();
    try {
      api.save(await api.fileAt(url, saved), saved);
    } catch (problem) {
      say(problem);
    }
  });
  item.append(link);
  if (bytes !== null) item.append(` ${(bytes / 1e6).toFixed(2)} MB`);
  return item;
}
