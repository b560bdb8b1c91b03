// A distance between two pixels of a scene, which may be of two views.

const HELP = "Click two pixels of the picture, or press Enter at the probe. They may be of two views.";

export class Measure {
  // root: the picture; at() -> { view, x, y, place } or null; show(pins): pins is what is marked
  constructor(root, at, show) {
    this.root = root;
    this.at = at;
    this.show = show;
    this.pins = [];
    root.addEventListener("click", () => this.#mark());
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#mark();
    });
  }

  forget() {
    this.pins = [];
    this.show(this.pins);
  }

  // In words. unit: "m" or null
  said(unit) {
    const [from, to] = this.pins;
    if (!from) return HELP;
    if (!to) return "The first end is set. Choose the second.";
    const length = Math.hypot(...[0, 1, 2].map((axis) => from.place[axis] - to.place[axis]));
    return `${length.toPrecision(4)} ${unit || "units: this scene has no metres"}`;
  }

  // Pins of a view on top of its pictures.
  draw(view, width, height) {
    for (const old of this.root.querySelectorAll(".pin")) old.remove();
    for (const frame of this.root.querySelectorAll(".frame")) {
      this.pins.forEach((pin, number) => {
        if (pin.view !== view) return;
        const found = document.createElement("span");
        found.className = "pin";
        found.textContent = "AB"[number];
        found.style.left = `${((pin.x + 0.5) / width) * 100}%`;
        found.style.top = `${((pin.y + 0.5) / height) * 100}%`;
        frame.append(found);
      });
    }
  }

  #mark() {
    const found = this.at();
    if (!found?.place) return;
    this.pins = this.pins.length === 2 ? [found] : [...this.pins, found];
    this.show(this.pins);
  }
}
