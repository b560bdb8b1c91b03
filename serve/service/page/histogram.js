// How often values occur, with two handles for the range that the palette covers.

import { levelOf } from "./palette.js";

const BINS = 128;
const STEPS = 1000; // of a handle

export class Histogram {
  // root: the element with a canvas and two range inputs; onRange(low, high) when a handle moves
  constructor(root, onRange) {
    this.canvas = root.querySelector("canvas");
    [this.lowest, this.highest] = root.querySelectorAll("input[type=range]");
    this.said = root.querySelector(".range");
    this.onRange = onRange;
    this.counts = new Uint32Array(BINS);
    this.span = [0, 1];
    this.#moves(this.lowest, () => Math.min(this.lowest.value, this.highest.value - 1));
    this.#moves(this.highest, () => Math.max(this.highest.value, Number(this.lowest.value) + 1));
    root.querySelector("button").addEventListener("click", () => {
      this.#reset();
      this.#changed();
    });
  }

  get range() {
    const [low, high] = this.span;
    const at = (handle) => low + ((high - low) * handle.value) / STEPS;
    return [at(this.lowest), at(this.highest)];
  }

  // Counts the values of a map, and puts the handles at both ends.
  show(values, unit) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    this.span = [low, high];
    this.unit = unit;
    this.counts.fill(0);
    const scale = high > low ? BINS / (high - low) : 0;
    for (const value of values) this.counts[Math.min(BINS - 1, (value - low) * scale) | 0] += 1;
    this.#reset();
  }

  // flipped: low values are near, and get the palette's last colours
  paint(colours, flipped) {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const most = Math.max(...this.counts, 1);
    const [low, high] = this.range;
    const bar = width / BINS;
    context.clearRect(0, 0, width, height);
    for (let bin = 0; bin < BINS; bin += 1) {
      const value = this.span[0] + ((bin + 0.5) / BINS) * (this.span[1] - this.span[0]);
      const level = levelOf(value, low, high, flipped) * 3;
      // The square root keeps rare values in sight.
      const tall = Math.sqrt(this.counts[bin] / most) * (height - 2);
      context.fillStyle = `rgb(${colours[level]} ${colours[level + 1]} ${colours[level + 2]})`;
      context.globalAlpha = value < low || value > high ? 0.35 : 1;
      context.fillRect(bin * bar, height - tall, bar + 0.5, tall);
    }
    context.globalAlpha = 1;
    this.#say();
  }

  #moves(handle, limited) {
    handle.max = STEPS;
    handle.addEventListener("input", () => {
      handle.value = limited();
      this.#changed();
    });
  }

  #reset() {
    this.lowest.value = 0;
    this.highest.value = STEPS;
  }

  #changed() {
    this.onRange(...this.range);
  }

  #say() {
    const [low, high] = this.range.map((value) => said(value, this.unit));
    this.lowest.setAttribute("aria-valuetext", low);
    this.highest.setAttribute("aria-valuetext", high);
    this.said.textContent = `${low} to ${high}`;
  }
}

// A value in words: four digits, and its unit.
export function said(value, unit, digits = 4) {
  const number = Number(value.toPrecision(digits));
  return unit ? `${number} ${unit}` : `${number}`;
}
