// Colours for levels 0 to 255. Level 255 is near; of sky and confidence it is the largest value.

const BLUE_YELLOW = [
  [0, 32, 76],
  [50, 68, 108],
  [104, 106, 116],
  [158, 148, 114],
  [212, 193, 92],
  [255, 234, 70],
];
const GRAY = [
  [0, 0, 0],
  [255, 255, 255],
];
// ColorBrewer's "Spectral", from blue to red, as the previews of depth files have it.
const SPECTRAL = [
  [94, 79, 162],
  [50, 136, 189],
  [102, 194, 165],
  [171, 221, 164],
  [230, 245, 152],
  [255, 255, 191],
  [254, 224, 139],
  [253, 174, 97],
  [244, 109, 67],
  [213, 62, 79],
  [158, 1, 66],
];

// [256 * 3]: straight lines between anchors that lie at equal distances.
export function table(anchors) {
  const found = new Uint8ClampedArray(256 * 3);
  for (let level = 0; level < 256; level += 1) {
    const place = (level / 255) * (anchors.length - 1);
    const left = Math.min(Math.floor(place), anchors.length - 2);
    for (let channel = 0; channel < 3; channel += 1) {
      const from = anchors[left][channel];
      const to = anchors[left + 1][channel];
      found[level * 3 + channel] = Math.floor(from + (to - from) * (place - left));
    }
  }
  return found;
}

// Lightness rises from far to near in the first two, so every kind of colour vision can read them.
export const PALETTES = {
  "blue-yellow": { label: "Blue to yellow", colours: table(BLUE_YELLOW) },
  gray: { label: "Gray", colours: table(GRAY) },
  spectral: { label: "Blue to red (not colour-blind safe)", colours: table(SPECTRAL) },
};

// The level of a value: `low` and `high` are the ends of the palette; `flipped`: low values are near.
export function levelOf(value, low, high, flipped) {
  if (!(high > low)) return 0;
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return Math.floor((flipped ? 1 - share : share) * 255);
}

// Ends of a palette for distances: nearly all values that are over 0 are between.
export function levelRange(values) {
  const step = Math.max(1, Math.floor(values.length / 50_000));
  const found = values.filter((value, number) => number % step === 0 && value > 0).sort();
  if (!found.length) return [0, 1];
  return [found[Math.floor((found.length - 1) * 0.02)], found[Math.floor((found.length - 1) * 0.98)]];
}
