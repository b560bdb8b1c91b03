// The picture: image and depth over or beside each other, and a probe of single pixels.

import { levelOf } from "./palette.js";

const DRAWN_PX = 2048; // the longer side of what is drawn; values stay whole for the probe

export function reducedSize(width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

// [256]: each colour as the four bytes of a pixel, so that a pixel is written at once.
function packedColours(colours) {
  const bytes = new Uint8Array(256 * 4).fill(255);
  for (let level = 0; level < 256; level += 1) {
    bytes.set(colours.subarray(level * 3, level * 3 + 3), level * 4);
  }
  return new Uint32Array(bytes.buffer);
}

export class DepthView {
  // root: the element with both canvases; onProbe({x, y, value, byKey}) when another pixel is probed
  constructor(root, onProbe) {
    this.root = root;
    this.image = root.querySelector(".image");
    this.depth = root.querySelector(".depth");
    this.onProbe = onProbe;
    this.map = null;
    this.at = [0, 0];
    for (const canvas of [this.image, this.depth]) {
      canvas.addEventListener("pointermove", (event) => this.#point(canvas, event));
      canvas.addEventListener("pointerdown", (event) => this.#point(canvas, event));
    }
    root.addEventListener("keydown", (event) => this.#key(event));
  }

  // bitmap: the image, or null where the browser cannot show its format
  showImage(bitmap, width, height) {
    [this.image.width, this.image.height] = reducedSize(width, height, DRAWN_PX);
    this.root.style.setProperty("--ratio", `${width / height}`);
    this.root.classList.toggle("no-image", !bitmap);
    if (!bitmap) return;
    const context = this.image.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, this.image.width, this.image.height);
  }

  showMap(map) {
    const other = !this.map || this.map.width !== map.width || this.map.height !== map.height;
    this.map = map;
    [this.depth.width, this.depth.height] = reducedSize(map.width, map.height, DRAWN_PX);
    if (other) this.at = [map.width >> 1, map.height >> 1];
    this.probe(...this.at);
  }

  paint(colours, low, high, flipped) {
    if (!this.map) return;
    const { values, width, height } = this.map;
    const { width: columns, height: rows } = this.depth;
    const across = Uint32Array.from({ length: columns }, (_, x) => Math.floor((x * width) / columns));
    const context = this.depth.getContext("2d");
    const picture = context.createImageData(columns, rows);
    const pixels = new Uint32Array(picture.data.buffer);
    const packed = packedColours(colours);
    for (let y = 0, place = 0; y < rows; y += 1) {
      const start = Math.floor((y * height) / rows) * width;
      for (let x = 0; x < columns; x += 1, place += 1) {
        pixels[place] = packed[levelOf(values[start + across[x]], low, high, flipped)];
      }
    }
    context.putImageData(picture, 0, 0);
  }

  // share of the width at the left that shows the image, 0 to 1
  wipe(share) {
    this.root.style.setProperty("--wipe", `${share * 100}%`);
  }

  probe(x, y, byKey = false) {
    if (!this.map) return;
    const { values, width, height } = this.map;
    x = Math.min(width - 1, Math.max(0, Math.round(x) || 0));
    y = Math.min(height - 1, Math.max(0, Math.round(y) || 0));
    this.at = [x, y];
    this.root.style.setProperty("--probe-x", `${((x + 0.5) / width) * 100}%`);
    this.root.style.setProperty("--probe-y", `${((y + 0.5) / height) * 100}%`);
    this.onProbe({ x, y, value: values[y * width + x], byKey });
  }

  #point(canvas, event) {
    if (!this.map) return;
    const box = canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.map.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.map.height);
    this.probe(x, y);
  }

  #key(event) {
    const step = event.shiftKey ? 10 : 1;
    const move = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    }[event.key];
    if (!move || !this.map) return;
    event.preventDefault();
    this.probe(this.at[0] + move[0], this.at[1] + move[1], true);
  }
}
