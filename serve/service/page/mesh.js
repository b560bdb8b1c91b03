// The surface of a depth map as a mesh: points, triangles, and where the picture lies on them.
// Relations, limits and axes are those of depth/exports: see its README.

export const FAR_OVER_NEAR = 10;
export const EDGE_RATIO = 1.08;
export const SKY_FROM = 0.3;

const GRID = 640; // rows or columns of the mesh at most

// Distances of every pixel; 0 where there is none.
export function distances({ values }, kind) {
  if (kind !== "relative_inverse") return values;
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const far = 1 / FAR_OVER_NEAR;
  if (!(high > low)) return values.map(() => 1);
  return values.map((value) => 1 / (((value - low) / (high - low)) * (1 - far) + far));
}

// The mesh of a map: { positions, places, indices, nearest, middle, farthest, focal }.
export function mesh(map, kind, sky, fovDeg) {
  const { width, height } = map;
  const z = distances(map, kind);
  const stride = Math.max(1, Math.ceil(Math.max(width, height) / GRID));
  const columns = Math.ceil(width / stride);
  const rows = Math.ceil(height / stride);
  const focal = width / 2 / Math.tan((fovDeg * Math.PI) / 360);
  const positions = new Float32Array(columns * rows * 3);
  const places = new Float32Array(columns * rows * 2);
  const there = new Float32Array(columns * rows);
  for (let row = 0, number = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, number += 1) {
      const [x, y] = [column * stride, row * stride];
      const place = y * width + x;
      const distance = z[place];
      there[number] = sky && sky.values[place] >= SKY_FROM ? 0 : distance;
      positions[number * 3] = ((x - (width - 1) / 2) / focal) * distance;
      positions[number * 3 + 1] = (-(y - (height - 1) / 2) / focal) * distance;
      positions[number * 3 + 2] = -distance;
      places[number * 2] = (x + 0.5) / width;
      places[number * 2 + 1] = (y + 0.5) / height;
    }
  }
  const indices = triangles(there, rows, columns);
  const ordered = there.filter((distance) => distance > 0).sort();
  const middle = ordered.length ? ordered[ordered.length >> 1] : 1;
  const [nearest, farthest] = ordered.length ? [ordered[0], ordered[ordered.length - 1]] : [1, 1];
  return { positions, places, indices, nearest, middle, farthest, focal, width, height };
}

function triangles(there, rows, columns) {
  const found = new Uint32Array((rows - 1) * (columns - 1) * 6);
  let count = 0;
  const add = (a, b, c) => {
    const near = Math.min(there[a], there[b], there[c]);
    const far = Math.max(there[a], there[b], there[c]);
    if (near <= 0 || far > near * EDGE_RATIO) return;
    found[count] = a;
    found[count + 1] = b;
    found[count + 2] = c;
    count += 3;
  };
  for (let row = 0; row + 1 < rows; row += 1) {
    for (let column = 0; column + 1 < columns; column += 1) {
      const corner = row * columns + column;
      add(corner, corner + columns, corner + 1);
      add(corner + 1, corner + columns, corner + columns + 1);
    }
  }
  return found.subarray(0, count);
}
