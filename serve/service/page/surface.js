// A mesh with a picture on it in WebGL 2, turned by mouse, touch and keys.

import { cleared, moved, Orbit, perspective, product, program, turned } from "./orbit.js";

const TEXTURE_PX = 2048;
const HOME = { yaw: 0.35, pitch: 0.12, zoom: 1.3 };

const VERTEX = `#version 300 es
in vec3 position;
in vec2 place;
uniform mat4 matrix;
out vec2 at;
void main() {
  at = place;
  gl_Position = matrix * vec4(position, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D picture;
out vec4 colour;
void main() {
  colour = vec4(texture(picture, at).rgb, 1.0);
}`;

export class Surface {
  // say(text): why there is no surface
  constructor(canvas, say) {
    this.canvas = canvas;
    this.say = say;
    this.orbit = new Orbit(canvas, HOME, () => this.draw());
    this.mesh = null;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.#start() && this.#load());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // picture: a canvas or an image whose whole area lies on the whole map
  show(found, picture) {
    this.mesh = found;
    this.picture = picture;
    if (!this.gl && !this.#start()) return;
    this.#load();
    this.say(found.indices.length ? "" : "Nothing is left to show: all is sky or an edge.");
  }

  repaint(picture) {
    this.picture = picture;
    if (!this.gl || !this.mesh) return;
    this.#texture();
    this.draw();
  }

  home() {
    this.orbit.reset();
  }

  #start() {
    const gl = this.canvas.getContext("webgl2", { antialias: true });
    if (!gl) {
      this.say("This browser has no WebGL 2, so there is no 3D view. A GLB file has the same surface.");
      return false;
    }
    const made = program(gl, VERTEX, FRAGMENT);
    gl.useProgram(made);
    this.gl = gl;
    this.matrix = gl.getUniformLocation(made, "matrix");
    this.buffers = ["position", "place"].map((name) => {
      const place = gl.getAttribLocation(made, name);
      gl.enableVertexAttribArray(place);
      return [gl.createBuffer(), place];
    });
    this.order = gl.createBuffer();
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.enable(gl.DEPTH_TEST);
    return true;
  }

  #load() {
    if (!this.mesh) return;
    const { gl } = this;
    [this.mesh.positions, this.mesh.places].forEach((values, number) => {
      const [buffer, place] = this.buffers[number];
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.vertexAttribPointer(place, 3 - number, gl.FLOAT, false, 0, 0);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.mesh.indices, gl.STATIC_DRAW);
    this.#texture();
    this.draw();
  }

  #texture() {
    const { gl, picture } = this;
    const scale = Math.min(1, TEXTURE_PX / Math.max(picture.width, picture.height));
    const canvas = new OffscreenCanvas(
      Math.max(1, Math.round(picture.width * scale)),
      Math.max(1, Math.round(picture.height * scale)),
    );
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  draw() {
    const { gl, mesh: found, canvas } = this;
    const { view } = this.orbit;
    if (!gl || !found || !canvas.clientWidth) return;
    cleared(gl, canvas);
    // From home without a turn, the camera sees the whole photograph.
    const fit = Math.min(canvas.width / found.width, canvas.height / found.height);
    const across = (2 * found.focal * fit) / canvas.width;
    const down = (2 * found.focal * fit) / canvas.height;
    const away = found.middle * view.zoom;
    const lens = perspective(across, down, found.nearest * 0.05, found.farthest * 3 + away);
    const pose = product(moved(0, 0, -away), product(turned(view), moved(0, 0, found.middle)));
    gl.uniformMatrix4fv(this.matrix, false, product(lens, pose));
    gl.drawElements(gl.TRIANGLES, found.indices.length, gl.UNSIGNED_INT, 0);
  }
}
