"use strict";

/*
 * Turns a drawing into a picture as MNIST was made. docs/page.md has the steps and their formulas, and
 * tests/pages/drawings.json has drawings with their pictures. `mnistctl/data` does the same with files.
 *
 *   prepareDrawing(greys, width, height)
 *     greys: the canvas row by row, 0 for black to 255 for white; dark ink on white
 *     -> 784 greys, white on black, Uint8Array; null if there is no digit
 */
const prepareDrawing = (() => {
  const BOX = 20; // side of the square in which MNIST's digits fit
  const CENTRE = 14; // pixel at which their centre of mass is
  const FAINT = 0.06; // ink that is not counted
  const STROKE = 0.35; // least ink of a stroke, relative to dark ink
  const LEAST_SIDE = 0.08; // of a digit, relative to the canvas
  const LEAST_MASS = 0.03; // of a further part, relative to the largest
  const FARTHEST = 0.25; // distance of a further part, relative to the size of the largest
  const EDGE = 2; // pixels around strokes that belong to them
  const VISIBLE = 0.1; // least ink that is not cut off
  const BRIGHT = 0.2; // least ink of the pixels that are made white, relative to the brightest

  /* The number below which the given share of the values lies, between the two nearest values. */
  function percentile(values, share) {
    const sorted = Float64Array.from(values).sort(), place = share * (sorted.length - 1), below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }

  const roundHalfEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

  const most = (values) => values.reduce((largest, value) => Math.max(largest, value), 0);

  /* The connected parts of the strokes. Pixels that touch at a corner are connected. */
  function findParts(ink, width, height) {
    const counted = ink.filter((value) => value > FAINT);
    if (counted.length === 0) return [];
    const least = STROKE * percentile(counted, 0.9), seen = new Uint8Array(ink.length), parts = [];
    for (let first = 0; first < ink.length; first++) {
      if (seen[first] || ink[first] <= least) continue;
      const part = { pixels: [first], mass: 0, left: width, right: 0, top: height, bottom: 0 };
      seen[first] = 1;
      for (let n = 0; n < part.pixels.length; n++) {
        const place = part.pixels[n], x = place % width, y = (place - x) / width;
        part.mass += ink[place];
        part.left = Math.min(part.left, x);
        part.right = Math.max(part.right, x);
        part.top = Math.min(part.top, y);
        part.bottom = Math.max(part.bottom, y);
        for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
          for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
            const next = v * width + u;
            if (seen[next] || ink[next] <= least) continue;
            seen[next] = 1;
            part.pixels.push(next);
          }
        }
      }
      part.side = Math.max(part.right - part.left, part.bottom - part.top) + 1;
      parts.push(part);
    }
    return parts;
  }

  /* The number of pixels between the boxes of two parts, along the axis on which they are further apart. */
  function gap(one, other) {
    const across = Math.max(one.left - other.right, other.left - one.right);
    const down = Math.max(one.top - other.bottom, other.top - one.bottom);
    return Math.max(across, down) - 1;
  }

  /* The pixels of the digit: the part with the most ink, and others near it. Null if no part is large enough. */
  function findDigit(ink, width, height) {
    const parts = findParts(ink, width, height);
    const large = parts.filter((part) => part.side >= LEAST_SIDE * Math.max(width, height));
    if (large.length === 0) return null;
    const main = large.reduce((best, part) => (part.mass > best.mass ? part : best));
    const chosen = parts.filter((part) => part === main
      || (part.mass >= LEAST_MASS * main.mass && gap(main, part) < FARTHEST * main.side));
    return chosen.flatMap((part) => part.pixels);
  }

  /* The ink at these pixels and next to them, from 0 for paper to 1 for full strokes. */
  function keepOnly(ink, pixels, width, height) {
    const own = pixels.map((place) => ink[place]);
    const full = Math.max(percentile(own, 0.8), 0.3 * most(own));
    const kept = new Float32Array(ink.length);
    for (const place of pixels) {
      const x = place % width, y = (place - x) / width;
      for (let v = Math.max(0, y - EDGE); v <= Math.min(height - 1, y + EDGE); v++) {
        const reach = EDGE - Math.abs(v - y);
        for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) {
          kept[v * width + u] = Math.min(1, ink[v * width + u] / full);
        }
      }
    }
    return kept;
  }

  /* The digit in the upper left corner of a square with its longer side. */
  function crop(ink, width, height) {
    let left = width, right = -1, top = height, bottom = -1;
    for (let n = 0; n < ink.length; n++) {
      if (ink[n] <= VISIBLE) continue;
      const x = n % width, y = (n - x) / width;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
    const side = Math.max(right - left, bottom - top) + 1, square = new Float32Array(side * side);
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) square[(y - top) * side + x - left] = ink[y * width + x];
    }
    return { square, side };
  }

  /* The cubic convolution kernel of Keys (1981) with a = -1/2. */
  function cubic(x) {
    const d = Math.abs(x);
    if (d < 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
    return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
  }

  /*
   * A square [side, side] scaled to [BOX, BOX]. The kernel is as wide as a pixel of the result, so that every
   * pixel of the drawing counts.
   */
  function resize(square, side) {
    const scale = side / BOX, width = Math.max(1, scale), weights = [];
    for (let n = 0; n < BOX; n++) {
      const centre = (n + 0.5) * scale;
      const first = Math.max(0, Math.floor(centre - 2 * width + 0.5));
      const end = Math.min(side, Math.floor(centre + 2 * width + 0.5));
      const own = Array.from({ length: end - first }, (_, k) => cubic((first + k + 0.5 - centre) / width));
      const total = own.reduce((sum, weight) => sum + weight, 0);
      weights.push({ first, own: own.map((weight) => weight / total) });
    }
    const narrow = new Float32Array(side * BOX), small = new Float32Array(BOX * BOX);
    for (let y = 0; y < side; y++) {
      weights.forEach(({ first, own }, n) => {
        narrow[y * BOX + n] = own.reduce((sum, weight, k) => sum + weight * square[y * side + first + k], 0);
      });
    }
    for (let x = 0; x < BOX; x++) {
      weights.forEach(({ first, own }, n) => {
        small[n * BOX + x] = own.reduce((sum, weight, k) => sum + weight * narrow[(first + k) * BOX + x], 0);
      });
    }
    return small;
  }

  /* A digit in 20x20 pixels as a picture of 28x28 pixels, with its centre of mass at pixel 14. */
  function place(small) {
    const least = BRIGHT * most(small), bright = percentile(small.filter((value) => value >= least), 0.9);
    const white = small.map((value) => Math.max(0, Math.min(1, value / bright)));
    let mass = 0, across = 0, down = 0;
    white.forEach((value, n) => {
      mass += value;
      across += value * (n % BOX);
      down += value * Math.floor(n / BOX);
    });
    const left = CENTRE - roundHalfEven(across / mass), top = CENTRE - roundHalfEven(down / mass);
    const picture = new Uint8Array(784);
    white.forEach((value, n) => {
      const x = left + (n % BOX), y = top + Math.floor(n / BOX);
      if (x >= 0 && x < 28 && y >= 0 && y < 28) picture[28 * y + x] = roundHalfEven(255 * value);
    });
    return picture;
  }

  return function prepareDrawing(greys, width, height) {
    const ink = Float32Array.from(greys, (grey) => 1 - grey / 255), pixels = findDigit(ink, width, height);
    if (pixels === null) return null;
    const { square, side } = crop(keepOnly(ink, pixels, width, height), width, height);
    return place(resize(square, side));
  };
})();
