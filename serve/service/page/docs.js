// The paths of the service, from its own /openapi.json.

import * as api from "./api.js";

const METHODS = ["get", "post", "put", "delete", "head", "patch"];

function element(kind, ...children) {
  const found = document.createElement(kind);
  found.append(...children);
  return found;
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const either = schema.anyOf || schema.oneOf;
  if (either) return either.filter((each) => each.type !== "null").map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.type || "any";
}

function allowed({ enum: values, default: usual, ...schema } = {}) {
  const parts = [typeOf(schema)];
  const inside = values || (schema.anyOf || []).flatMap((each) => each.enum || []);
  if (inside.length) parts.push(`one of ${inside.join(", ")}`);
  if (usual !== undefined && usual !== null) parts.push(`by default ${usual}`);
  return parts.join("; ");
}

// A table that scrolls sideways in a narrow window, by keys too.
function table(titles, rows) {
  const head = element("tr", ...titles.map((title) => element("th", title)));
  for (const cell of head.children) cell.scope = "col";
  const body = rows.map((cells) => element("tr", ...cells.map((cell) => element("td", cell))));
  const found = element("div", element("table", element("thead", head), element("tbody", ...body)));
  found.className = "scroll";
  found.tabIndex = 0;
  found.setAttribute("role", "group");
  found.setAttribute("aria-label", titles.join(", "));
  return found;
}

function code(text) {
  return element("code", text);
}

function bodies(content = {}) {
  return Object.keys(content).join(", ");
}

function operation(path, method, about) {
  const name = element("span", method);
  name.className = "method";
  const title = element("h2", name, " ", code(path));
  const found = element("section", title, element("p", about.description || about.summary || ""));
  found.className = "path";
  const parameters = (about.parameters || []).map((each) => [
    code(each.name),
    each.required ? `${each.in}, required` : each.in,
    allowed(each.schema),
    each.description || "",
  ]);
  if (parameters.length) {
    found.append(table(["Parameter", "Where", "Type", "Meaning"], parameters));
  }
  if (about.requestBody) {
    found.append(element("p", `Body: ${bodies(about.requestBody.content) || "any"}`));
  }
  const answers = Object.entries(about.responses || {}).map(([status, answer]) => [
    code(status),
    bodies(answer.content),
    answer.description || "",
  ]);
  if (answers.length) found.append(table(["Status", "Media types", "Meaning"], answers));
  return found;
}

async function show() {
  try {
    const { paths } = await api.openapi();
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of METHODS) {
        if (methods[method]) document.getElementById("paths").append(operation(path, method, methods[method]));
      }
    }
    document.getElementById("status").textContent = `${Object.keys(paths).length} paths.`;
  } catch (problem) {
    document.getElementById("status").textContent = "";
    document.getElementById("error").hidden = false;
    document.getElementById("error").textContent = problem.message;
  }
}

show();
