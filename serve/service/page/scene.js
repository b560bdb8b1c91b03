// A scene of the service as numbers: its views, points, cameras, and distances between pixels.
// Axes of the scene: x right, y down, z forward; extrinsics are world to camera. See depth/scenes.

import { readNpz } from "./npz.js";

const MOST_POINTS = 1_500_000;
const CAMERA_SIZE = 0.03; // the depth of a drawn camera, of the points' extent
const [DARK, BRIGHT] = [16, 240]; // of all channels: a background that is nearly black or white

export class Scene {
  // buffer: results.npz with images; unit: "m" or null
  constructor(buffer, names, unit) {
    const { image, depth, conf, extrinsics, intrinsics } = readNpz(buffer);
    if (!depth || !image || !extrinsics) throw new Error("The scene has no images in its NPZ.");
    [this.views, this.height, this.width] = depth.shape;
    Object.assign(this, { image, depth, conf: conf || null, names, unit });
    this.cameras = Array.from({ length: this.views }, (_, view) => ({
      pose: extrinsics.values.subarray(view * 12, view * 12 + 12),
      lens: intrinsics.values.subarray(view * 9, view * 9 + 9),
    }));
    this.sorted = this.#sortedConfidence();
  }

  // The depth of a view, as DepthView takes maps.
  map(view) {
    const size = this.width * this.height;
    const values = this.depth.values.subarray(view * size, view * size + size);
    return { values, width: this.width, height: this.height };
  }

  // The picture of a view.
  picture(view) {
    const size = this.width * this.height;
    const pixels = new Uint8ClampedArray(size * 4).fill(255);
    for (let at = 0, from = view * size * 3; at < size * 4; at += 4, from += 3) {
      for (let channel = 0; channel < 3; channel += 1) pixels[at + channel] = this.image.values[from + channel];
    }
    return new ImageData(pixels, this.width, this.height);
  }

  // The confidence below which a share (0 to 1) of all pixels is.
  confidenceAt(share) {
    if (!this.sorted.length) return -Infinity;
    return this.sorted[Math.min(this.sorted.length - 1, Math.floor(share * this.sorted.length))];
  }

  // A pixel of a view in the scene's world; null where there is no depth.
  place(view, x, y) {
    const distance = this.depth.values[(view * this.height + y) * this.width + x];
    return distance > 0 ? this.#world(view, x + 0.5, y + 0.5, distance) : null;
  }

  #world(view, x, y, distance) {
    const { pose: e, lens: k } = this.cameras[view];
    const camera = [((x - k[2]) / k[0]) * distance, ((y - k[5]) / k[4]) * distance, distance];
    const [a, b, c] = [camera[0] - e[3], camera[1] - e[7], camera[2] - e[11]];
    return [0, 1, 2].map((axis) => e[axis] * a + e[4 + axis] * b + e[8 + axis] * c);
  }

  // World -> what the 3D view shows: the axes of the first camera, y up, z backward.
  seen([x, y, z]) {
    const { pose: e } = this.cameras[0];
    const row = (at) => e[at] * x + e[at + 1] * y + e[at + 2] * z + e[at + 3];
    return [row(0), -row(4), -row(8)];
  }

  // { positions, colours, sureness }: of all pixels, or of as many, evenly, as there may be.
  points({ most = MOST_POINTS, black = true, white = true } = {}) {
    const total = this.views * this.width * this.height;
    const share = Math.min(1, most / total, MOST_POINTS / total);
    const room = Math.ceil(total * share);
    const found = {
      positions: new Float32Array(room * 3),
      colours: new Uint8Array(room * 3),
      sureness: new Float32Array(room),
    };
    const { values: rgb } = this.image;
    let count = 0;
    for (let at = 0; at < total; at += 1) {
      if (Math.floor((at + 1) * share) === Math.floor(at * share)) continue;
      const distance = this.depth.values[at];
      if (!(distance > 0) || left(rgb, at * 3, black, white)) continue;
      const row = Math.floor(at / this.width);
      const [x, y] = [(at % this.width) + 0.5, (row % this.height) + 0.5];
      found.positions.set(this.seen(this.#world(Math.floor(row / this.height), x, y, distance)), count * 3);
      for (let channel = 0; channel < 3; channel += 1) found.colours[count * 3 + channel] = rgb[at * 3 + channel];
      found.sureness[count] = this.conf ? this.conf.values[at] : 1;
      count += 1;
    }
    return {
      positions: found.positions.subarray(0, count * 3),
      colours: found.colours.subarray(0, count * 3),
      sureness: found.sureness.subarray(0, count),
    };
  }

  // A pyramid for each camera, as lines.
  pyramids(extent) {
    const [positions, colours] = [[], []];
    const corners = [[0, 0], [this.width, 0], [this.width, this.height], [0, this.height]];
    for (let view = 0; view < this.views; view += 1) {
      const centre = this.seen(this.#world(view, 0, 0, 0));
      const far = corners.map(([x, y]) => this.seen(this.#world(view, x, y, extent * CAMERA_SIZE)));
      const colour = rainbow((view + 0.5) / this.views);
      far.forEach((corner, number) => {
        positions.push(...centre, ...corner, ...corner, ...far[(number + 1) % 4]);
        for (let end = 0; end < 4; end += 1) colours.push(...colour);
      });
    }
    return { positions: Float32Array.from(positions), colours: Uint8Array.from(colours) };
  }

  // A line between two places of the world.
  line(from, to) {
    const positions = Float32Array.from([...this.seen(from), ...this.seen(to)]);
    return { positions, colours: Uint8Array.from([255, 0, 110, 255, 0, 110]) };
  }

  #sortedConfidence() {
    if (!this.conf) return new Float32Array(0);
    const step = Math.max(1, Math.floor(this.conf.values.length / 200_000));
    const sample = new Float32Array(Math.ceil(this.conf.values.length / step));
    for (let number = 0; number < sample.length; number += 1) sample[number] = this.conf.values[number * step];
    return sample.sort();
  }
}

function left(rgb, at, black, white) {
  const [r, g, b] = [rgb[at], rgb[at + 1], rgb[at + 2]];
  return (!black && r < DARK && g < DARK && b < DARK) || (!white && r >= BRIGHT && g >= BRIGHT && b >= BRIGHT);
}

// A colour of the rainbow, 0 to 1.
function rainbow(hue) {
  return [5, 3, 1].map((shift) => {
    const k = (shift + hue * 6) % 6;
    return Math.round(255 * 0.95 * (1 - 0.85 * Math.max(0, Math.min(k, 4 - k, 1))));
  });
}
