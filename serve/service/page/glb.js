// Reads points and lines out of a GLB, glTF 2.0 in binary form. Triangles are shown by their corners.
// Format: the Khronos glTF 2.0 specification, chapters 3.6, 3.7 and 4.4.

const MAGIC = 0x46546c67;
const [JSON_CHUNK, BINARY_CHUNK] = [0x4e4f534a, 0x004e4942];
const LINES = 1;
const KINDS = { 5121: Uint8Array, 5123: Uint16Array, 5126: Float32Array };
const COUNTS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };
const DEEPEST = 32; // nodes below nodes
const STILL = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

// ArrayBuffer -> { points: { positions, colours }, lines: { positions, colours }, about }
export function readGlb(buffer) {
  const { json, binary } = chunks(buffer);
  const found = { points: [], lines: [] };
  const scene = json.scenes?.[json.scene || 0];
  const visit = (number, matrix, depth) => {
    const node = json.nodes?.[number];
    if (!node || depth > DEEPEST) throw new Error("damaged GLB: a node is missing");
    const own = product(matrix, node.matrix || STILL);
    for (const part of json.meshes?.[node.mesh]?.primitives || []) {
      found[part.mode === LINES ? "lines" : "points"].push(vertices(json, binary, part, own));
    }
    for (const child of node.children || []) visit(child, own, depth + 1);
  };
  for (const number of scene?.nodes || []) visit(number, STILL, 0);
  return { points: joined(found.points), lines: joined(found.lines), about: json.asset?.extras || {} };
}

function chunks(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < 20 || view.getUint32(0, true) !== MAGIC) throw new Error("this is no GLB file");
  const found = {};
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at, true);
    const kind = view.getUint32(at + 4, true);
    if (at + 8 + size > view.byteLength) throw new Error("damaged GLB: it ends too early");
    if (kind === JSON_CHUNK) found.json = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, at + 8, size)));
    if (kind === BINARY_CHUNK) found.binary = { start: at + 8, size, buffer };
    at += 8 + size;
  }
  if (!found.json || !found.binary) throw new Error("damaged GLB: a part is missing");
  return found;
}

function vertices(json, binary, part, matrix) {
  const positions = values(json, binary, part.attributes.POSITION);
  const colour = part.attributes.COLOR_0;
  const count = positions.length / 3;
  const placed = new Float32Array(count * 3);
  for (let at = 0; at < count * 3; at += 3) {
    for (let row = 0; row < 3; row += 1) {
      placed[at + row] =
        matrix[row] * positions[at] + matrix[4 + row] * positions[at + 1] + matrix[8 + row] * positions[at + 2] + matrix[12 + row];
    }
  }
  return { positions: placed, colours: colours(json, binary, colour, count) };
}

// [count * 3] bytes; grey where the file says nothing.
function colours(json, binary, number, count) {
  const found = new Uint8Array(count * 3).fill(160);
  if (number === undefined) return found;
  const given = values(json, binary, number);
  const channels = given.length / count;
  const scale = given instanceof Float32Array ? 255 : given instanceof Uint16Array ? 1 / 257 : 1;
  for (let at = 0; at < count; at += 1) {
    for (let c = 0; c < 3; c += 1) found[at * 3 + c] = given[at * channels + c] * scale;
  }
  return found;
}

function values(json, binary, number) {
  const accessor = json.accessors?.[number];
  const view = json.bufferViews?.[accessor?.bufferView];
  const Kind = KINDS[accessor?.componentType];
  const channels = COUNTS[accessor?.type];
  if (!view || !Kind || !channels || view.byteStride > channels * Kind.BYTES_PER_ELEMENT) {
    throw new Error("a GLB whose points this page cannot read");
  }
  const start = (view.byteOffset || 0) + (accessor.byteOffset || 0);
  const size = accessor.count * channels * Kind.BYTES_PER_ELEMENT;
  if (!(size >= 0) || start + size > binary.size) throw new Error("damaged GLB: points are missing");
  return new Kind(binary.buffer.slice(binary.start + start, binary.start + start + size));
}

function joined(parts) {
  const count = parts.reduce((sum, each) => sum + each.positions.length, 0);
  const found = { positions: new Float32Array(count), colours: new Uint8Array(count) };
  let at = 0;
  for (const { positions, colours: given } of parts) {
    found.positions.set(positions, at);
    found.colours.set(given, at);
    at += positions.length;
  }
  return found;
}

function product(left, right) {
  return STILL.map((_, place) => {
    const [row, column] = [place % 4, Math.floor(place / 4)];
    return [0, 1, 2, 3].reduce((sum, k) => sum + left[k * 4 + row] * right[column * 4 + k], 0);
  });
}
