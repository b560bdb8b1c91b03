// How a result was made, in words.

import { said } from "./histogram.js";

// What the service says of the camera, in words.
const SOURCES = {
  assumed: "assumed",
  exif: "from the image's EXIF",
  fov_deg: "as given",
  focal_px: "as given",
  intrinsics: "as given",
};

// [degrees, where they come from]: horizontal, of the image's camera.
export function fieldOfView({ fov }) {
  return [fov.degrees, SOURCES[fov.source] || `from ${fov.source}`];
}

export function showFacts(list, result) {
  const { about, timing, maps } = result;
  const made = about.provenance;
  const depth = about.maps.depth;
  const [degrees, source] = fieldOfView(result);
  const rows = [
    ["Model", made.trained === false ? `${made.model} (untrained)` : made.model],
    ["Precision", `${made.precision} on ${made.target}`],
    ["Artifact", made.artifact],
    ["Size", `${maps.depth.width} × ${maps.depth.height} px`],
    ["Network saw", `${made.model_width_px} × ${made.model_height_px} px`],
    ["Values", `${depth.kind}, unit: ${depth.unit || "none"}`],
    ["Time", timing.map(([name, ms]) => `${name} ${Math.round(ms)} ms`).join(", ") || "not said"],
    ["Field of view", `${said(degrees, "", 4)}° ${source}`],
    ...((about.source && about.source.notes) || []).map((note) => ["Note", note]),
  ];
  list.replaceChildren(...rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function element(kind, text) {
  const found = document.createElement(kind);
  found.textContent = text;
  return found;
}
