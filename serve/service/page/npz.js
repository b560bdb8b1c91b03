// Reads NPZ as the service writes it: a zip whose entries are stored, each an NPY of version 1.0.
// Formats: PKWARE's APPNOTE.TXT 4.3, and numpy's NEP 1.

const ENTRY = 0x02014b50;
const END = 0x06054b50;
const HEADER = /'descr': '([^']+)', 'fortran_order': False, 'shape': \(([\d, ]*)\)/;

const KINDS = { "<f4": Float32Array, "<f8": Float64Array, "|u1": Uint8Array };

// ArrayBuffer -> { name: { values, shape, height, width } or string }; the last two of a map
export function readNpz(buffer) {
  const found = {};
  for (const { name, start, size } of entries(new DataView(buffer))) {
    found[name.replace(/\.npy$/, "")] = readNpy(buffer, start, size);
  }
  return found;
}

function* entries(view) {
  let at = view.byteLength - 22;
  while (at >= 0 && view.getUint32(at, true) !== END) at -= 1;
  if (at < 0) throw new Error("damaged NPZ: it has no end");
  const count = view.getUint16(at + 10, true);
  at = view.getUint32(at + 16, true);
  for (let number = 0; number < count; number += 1) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("damaged NPZ: an entry is missing");
    if (view.getUint16(at + 10, true) !== 0) throw new Error("a packed NPZ: expected a stored one");
    const size = view.getUint32(at + 20, true);
    const lengths = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = text(view, at + 46, lengths[0]);
    const local = view.getUint32(at + 42, true);
    const own = view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    yield { name, start: local + 30 + own, size };
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
}

function readNpy(buffer, start, size) {
  const view = new DataView(buffer, start, size);
  const length = view.getUint16(8, true);
  const header = HEADER.exec(text(view, 10, length));
  if (!header) throw new Error("an NPY that is not a plain array by rows");
  const [, dtype, sizes] = header;
  const data = buffer.slice(start + 10 + length, start + size);
  if (dtype.startsWith("<U")) return fromUtf32(new Uint32Array(data));
  const shape = sizes.split(",").filter((each) => each.trim()).map(Number);
  const Kind = KINDS[dtype];
  if (!Kind) throw new Error(`an array of ${dtype}: expected one of ${Object.keys(KINDS)}`);
  return { values: new Kind(data), shape, height: shape[0], width: shape[1] };
}

function fromUtf32(codes) {
  let found = "";
  for (const code of codes) if (code) found += String.fromCodePoint(code);
  return found;
}

function text(view, start, length) {
  return new TextDecoder("latin1").decode(new Uint8Array(view.buffer, view.byteOffset + start, length));
}
