// A long list, some of it at a time.

export class Pages {
  // parts: the whole row, "earlier", the text, "later"; show(items, from)
  constructor(size, [row, before, said, after], show) {
    Object.assign(this, { size, row, before, said, after, draw: show });
    before.addEventListener("click", () => this.#go(this.number - 1));
    after.addEventListener("click", () => this.#go(this.number + 1));
  }

  show(items) {
    this.items = items;
    this.#go(0);
  }

  #go(number) {
    const count = Math.max(1, Math.ceil(this.items.length / this.size));
    this.number = Math.min(count - 1, Math.max(0, number));
    this.row.hidden = count === 1;
    this.before.disabled = this.number === 0;
    this.after.disabled = this.number === count - 1;
    this.said.textContent = `${this.number + 1} of ${count}`;
    const from = this.number * this.size;
    this.draw(this.items.slice(from, from + this.size), from);
  }
}
