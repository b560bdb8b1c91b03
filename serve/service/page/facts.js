// How a result was made, in words.

import { said } from "./histogram.js";
import { ASSUMED_FOV_DEG } from "./mesh.js";

// [degrees, where they come from]: horizontal, of the image's camera.
export function fieldOfView({ about }, asked) {
  const { focal, provenance } = about;
  // Metres keep the focal length that they were made with.
  if (focal) {
    const degrees = (360 / Math.PI) * Math.atan(provenance.model_width_px / 2 / focal.px);
    return [degrees, `from ${focal.source}`];
  }
  if (Number(asked) > 0 && Number(asked) < 180) return [Number(asked), "as given"];
  return [ASSUMED_FOV_DEG, "assumed"];
}

export function showFacts(list, result, askedFov) {
  const { about, timing, maps } = result;
  const made = about.provenance;
  const depth = about.maps.depth;
  const [degrees, source] = fieldOfView(result, askedFov);
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
