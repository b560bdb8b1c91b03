// Points and lines in WebGL 2: a scene as one sees it in 3D. Axes: x right, y up, z backward.

import { cleared, moved, Orbit, perspective, product, program, turned } from "./orbit.js";

const HOME = { yaw: 0, pitch: 0.12, zoom: 0.8, right: 0, up: 0 };
const [LOW, HIGH] = [0.05, 0.95]; // of the points: nearly all of them are between
const SAMPLE = 20_000; // points that say how large a scene is

const VERTEX = `#version 300 es
in vec3 position;
in vec3 colour;
in float sureness;
uniform mat4 matrix;
uniform float least;
uniform float size;
out vec3 shown;
void main() {
  shown = colour;
  gl_Position = sureness < least ? vec4(2.0, 2.0, 2.0, 1.0) : matrix * vec4(position, 1.0);
  gl_PointSize = size;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 shown;
out vec4 colour;
void main() {
  colour = vec4(shown, 1.0);
}`;

export class Cloud {
  // say(text): why there is nothing to see
  constructor(canvas, say) {
    this.canvas = canvas;
    this.say = say;
    this.orbit = new Orbit(canvas, HOME, () => this.draw());
    this.least = -Infinity; // points that are less sure are not drawn
    this.size = 2; // px of a point
    this.parts = [];
    this.found = null;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.#start() && this.#load());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // points: { positions, colours, sureness }; lines: { positions, colours }, two ends each;
  // marks: lines over everything, or null. A new scene is seen from home.
  show(points, lines, marks = null) {
    const other = this.found?.points !== points;
    this.found = { points, lines, marks };
    if (!this.gl && !this.#start()) return;
    if (other) {
      [this.middle, this.extent] = boxOf(points.positions);
      this.orbit.reset();
    }
    this.#load();
    this.say(points.positions.length ? "" : "Nothing is left to show: choose a lower confidence.");
  }

  home() {
    this.orbit.reset();
  }

  #start() {
    const gl = this.canvas.getContext("webgl2", { antialias: true });
    if (!gl) {
      this.say("This browser has no WebGL 2, so there is no 3D view. A GLB file has the same points.");
      return false;
    }
    const made = program(gl, VERTEX, FRAGMENT);
    gl.useProgram(made);
    gl.enable(gl.DEPTH_TEST);
    this.gl = gl;
    this.places = Object.fromEntries(
      ["position", "colour", "sureness"].map((name) => [name, gl.getAttribLocation(made, name)]),
    );
    this.uniforms = Object.fromEntries(
      ["matrix", "least", "size"].map((name) => [name, gl.getUniformLocation(made, name)]),
    );
    return true;
  }

  #load() {
    if (!this.found) return;
    const { gl } = this;
    for (const { array, buffers } of this.parts) {
      gl.deleteVertexArray(array);
      buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    }
    const { points, lines, marks } = this.found;
    this.parts = [this.#part(points, gl.POINTS), this.#part(lines, gl.LINES)];
    if (marks) this.parts.push({ ...this.#part(marks, gl.LINES), over: true });
    this.draw();
  }

  #part({ positions, colours, sureness }, mode) {
    const { gl, places } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const buffers = [];
    const bind = (values, place, channels, kind, normalised) => {
      buffers.push(gl.createBuffer());
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers.at(-1));
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, channels, kind, normalised, 0, 0);
    };
    bind(positions, places.position, 3, gl.FLOAT, false);
    bind(colours, places.colour, 3, gl.UNSIGNED_BYTE, true);
    if (sureness) bind(sureness, places.sureness, 1, gl.FLOAT, false);
    return { array, buffers, mode, count: positions.length / 3, sure: !sureness };
  }

  draw() {
    const { gl, canvas } = this;
    if (!gl || !this.found || !canvas.clientWidth) return;
    cleared(gl, canvas);
    gl.uniformMatrix4fv(this.uniforms.matrix, false, this.#matrix());
    gl.uniform1f(this.uniforms.size, this.size * Math.min(window.devicePixelRatio || 1, 2));
    for (const { array, mode, count, sure, over } of this.parts) {
      gl.uniform1f(this.uniforms.least, sure ? -1e30 : Math.max(-1e30, this.least));
      if (over) gl.clear(gl.DEPTH_BUFFER_BIT);
      gl.bindVertexArray(array);
      gl.drawArrays(mode, 0, count);
    }
  }

  // The whole scene fits into the view at home.
  #matrix() {
    const { canvas, middle, extent } = this;
    const { view } = this.orbit;
    const away = extent * view.zoom;
    const narrow = Math.min(canvas.width, canvas.height);
    const [across, down] = [(2 * narrow) / canvas.width, (2 * narrow) / canvas.height];
    const lens = perspective(across, down, extent * 0.005, away + extent * 20);
    const sideways = moved(view.right * extent, view.up * extent, -away);
    const about = moved(-middle[0], -middle[1], -middle[2]);
    return product(lens, product(sideways, product(turned(view), about)));
  }
}

// The median of points, and the diagonal of the box that nearly all of them are in.
export function boxOf(positions) {
  const count = positions.length / 3;
  const step = Math.max(1, Math.floor(count / SAMPLE));
  const sides = [0, 1, 2].map((axis) => {
    const values = [];
    for (let number = 0; number < count; number += step) values.push(positions[number * 3 + axis]);
    return Float32Array.from(values).sort();
  });
  if (!count) return [[0, 0, 0], 1];
  const at = (values, share) => values[Math.floor((values.length - 1) * share)];
  const extent = Math.hypot(...sides.map((values) => at(values, HIGH) - at(values, LOW)));
  return [sides.map((values) => at(values, 0.5)), extent || 1];
}
