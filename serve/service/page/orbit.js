// A look at things in 3D, turned, moved and zoomed by mouse, touch and keys; and its matrices.
// 4x4 matrices are by columns, as WebGL takes them.

const TURN = 0.08; // rad for a key
const STEP = 0.05; // of the view, for a key that moves it
const STEEPEST = Math.PI / 2;

export function product(left, right) {
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

export function moved(x, y, z) {
  return [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1];
}

export function turned({ yaw, pitch }) {
  const [s, c, t, d] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  const across = [c, 0, -s, 0, 0, 1, 0, 0, s, 0, c, 0, 0, 0, 0, 1];
  const over = [1, 0, 0, 0, 0, d, t, 0, 0, -t, d, 0, 0, 0, 0, 1];
  return product(over, across);
}

export function perspective(across, down, near, far) {
  const depth = 1 / (near - far);
  return [across, 0, 0, 0, 0, down, 0, 0, 0, 0, (near + far) * depth, -1, 0, 0, 2 * near * far * depth, 0];
}

// A program of two shaders.
export function program(gl, vertex, fragment) {
  const found = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(found, shader);
  }
  gl.linkProgram(found);
  return found;
}

// Make a canvas as large as it is on screen, and clear it.
export function cleared(gl, canvas) {
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.round(canvas.clientWidth * dense);
  canvas.height = Math.round(canvas.clientHeight * dense);
  gl.viewport(0, 0, canvas.width, canvas.height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
}

export class Orbit {
  // home: { yaw, pitch, zoom, right, up }, the last two in shares of the view; without `right` nothing
  // moves sideways. change(): the look is another
  constructor(canvas, home, change) {
    this.canvas = canvas;
    this.home = home;
    this.view = { ...home };
    this.change = change;
    this.moves = "right" in home;
    this.pointers = new Map();
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    if (this.moves) canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  reset() {
    this.#turn(this.home);
  }

  #turn(found) {
    const next = { ...this.view, ...found };
    next.pitch = Math.min(STEEPEST, Math.max(-STEEPEST, next.pitch));
    next.zoom = Math.min(8, Math.max(0.1, next.zoom));
    this.view = next;
    requestAnimationFrame(() => this.change());
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const change = event.shiftKey && this.moves ? this.#shifted(event.key) : this.#plain(event.key);
    if (!change) return;
    event.preventDefault();
    this.#turn(change);
  }

  #plain(key) {
    const { yaw, pitch, zoom } = this.view;
    return {
      ArrowLeft: { yaw: yaw - TURN },
      ArrowRight: { yaw: yaw + TURN },
      ArrowUp: { pitch: pitch - TURN },
      ArrowDown: { pitch: pitch + TURN },
      "+": { zoom: zoom / 1.1 },
      "=": { zoom: zoom / 1.1 },
      "-": { zoom: zoom * 1.1 },
      Home: this.home,
      0: this.home,
    }[key];
  }

  #shifted(key) {
    const { right, up, zoom } = this.view;
    return {
      ArrowLeft: { right: right - STEP },
      ArrowRight: { right: right + STEP },
      ArrowUp: { up: up + STEP },
      ArrowDown: { up: up - STEP },
      "+": { zoom: zoom / 1.1 },
    }[key];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  // One pointer turns. Two of them zoom and move; so does the right button, or Shift.
  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const apart = this.#apart();
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const two = this.pointers.size > 1;
    const [x, y] = [event.clientX - before[0], event.clientY - before[1]].map((px) => px / (two ? 2 : 1));
    if (two) this.#turn({ zoom: this.view.zoom * (apart / Math.max(1, this.#apart())) });
    if (this.moves && (two || event.shiftKey || event.buttons & 2)) {
      const scale = this.view.zoom / Math.max(1, this.canvas.clientHeight);
      this.#turn({ right: this.view.right + x * scale, up: this.view.up - y * scale });
    } else if (!two) {
      const scale = Math.PI / Math.max(1, this.canvas.clientWidth);
      this.#turn({ yaw: this.view.yaw + x * scale, pitch: this.view.pitch + y * scale });
    }
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
