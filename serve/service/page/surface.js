// A mesh with a picture on it in WebGL 2, turned by mouse, touch and keys.

const TEXTURE_PX = 2048;
const HOME = { yaw: 0.35, pitch: 0.12, zoom: 1.3 };
const TURN = 0.08; // rad for a key

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

// 4x4 matrices by columns, as WebGL takes them.
function product(left, right) {
  const found = new Float32Array(16);
  for (let column = 0; column < 4; column += 1) {
    for (let row = 0; row < 4; row += 1) {
      for (let k = 0; k < 4; k += 1) {
        found[column * 4 + row] += left[k * 4 + row] * right[column * 4 + k];
      }
    }
  }
  return found;
}

function moved(x, y, z) {
  return [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1];
}

function turned({ yaw, pitch }) {
  const [s, c, t, d] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  const across = [c, 0, -s, 0, 0, 1, 0, 0, s, 0, c, 0, 0, 0, 0, 1];
  const over = [1, 0, 0, 0, 0, d, t, 0, 0, -t, d, 0, 0, 0, 0, 1];
  return product(over, across);
}

function perspective(across, down, near, far) {
  const depth = 1 / (near - far);
  return [across, 0, 0, 0, 0, down, 0, 0, 0, 0, (near + far) * depth, -1, 0, 0, 2 * near * far * depth, 0];
}

export class Surface {
  // say(text): why there is no surface
  constructor(canvas, say) {
    this.canvas = canvas;
    this.say = say;
    this.view = { ...HOME };
    this.mesh = null;
    this.pointers = new Map();
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
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
    this.#turn(HOME);
  }

  #start() {
    const gl = this.canvas.getContext("webgl2", { antialias: true });
    if (!gl) {
      this.say("This browser has no WebGL 2, so there is no 3D view. A GLB file has the same surface.");
      return false;
    }
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.gl = gl;
    this.matrix = gl.getUniformLocation(program, "matrix");
    this.buffers = ["position", "place"].map((name) => {
      const place = gl.getAttribLocation(program, name);
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
    const { gl, mesh: found, canvas, view } = this;
    if (!gl || !found || !canvas.clientWidth) return;
    const dense = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.round(canvas.clientWidth * dense);
    canvas.height = Math.round(canvas.clientHeight * dense);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
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

  #turn({ yaw = this.view.yaw, pitch = this.view.pitch, zoom = this.view.zoom }) {
    const steep = Math.PI / 2;
    this.view = {
      yaw,
      pitch: Math.min(steep, Math.max(-steep, pitch)),
      zoom: Math.min(8, Math.max(0.1, zoom)),
    };
    requestAnimationFrame(() => this.draw());
  }

  #key(event) {
    const { yaw, pitch, zoom } = this.view;
    const change = {
      ArrowLeft: { yaw: yaw - TURN },
      ArrowRight: { yaw: yaw + TURN },
      ArrowUp: { pitch: pitch - TURN },
      ArrowDown: { pitch: pitch + TURN },
      "+": { zoom: zoom / 1.1 },
      "=": { zoom: zoom / 1.1 },
      "-": { zoom: zoom * 1.1 },
      Home: HOME,
      0: HOME,
    }[event.key];
    if (!change || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#turn(change);
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  // One pointer turns, two of them zoom.
  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const apart = this.#apart();
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) {
      this.#turn({ zoom: this.view.zoom * (apart / Math.max(1, this.#apart())) });
      return;
    }
    const [x, y] = [event.clientX - before[0], event.clientY - before[1]];
    const scale = Math.PI / Math.max(1, this.canvas.clientWidth);
    this.#turn({ yaw: this.view.yaw + x * scale, pitch: this.view.pitch + y * scale });
  }

  #apart() {
    const [first, second] = [...this.pointers.values()];
    return second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 1;
  }

  #wheel(event) {
    event.preventDefault();
    this.#turn({ zoom: this.view.zoom * Math.exp(event.deltaY * 0.001) });
  }
}
