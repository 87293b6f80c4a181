"use strict";

/*
 * Computes a net from its description, which `layers.py` defines: the output of every layer, and gradients.
 *
 *   const net = makeNet(description);
 *   net.forward(pixels)            pixels: 784 greys from 0 to 255, as the net receives them
 *     -> {layers, logits, probabilities}
 *        layers: for each layer of the description {name, title, kind, shape, values: Float32Array}
 *        logits, probabilities: Float32Array of ten numbers
 *   net.gradient(pixels, answer)   derivative of a logit by each grey: Float32Array of 784
 *   net.saliency(pixels, answer)   gradient times pixel: how much of the logit is due to the ink there
 *   net.see(pixels)                a picture prepared as MNIST's digits, as the net must see it
 *   net.generate(noise, digit)     noise: 100 numbers; digit: 0 to 9, or ten weights for a mixture of digits
 *     -> 784 greys from 0 to 255, Uint8ClampedArray
 *   net.run(inputs)                layers as above, from the inputs of the description as arrays
 *   net.layers                     the layers of the description, their weights as {shape, values}
 */
const makeNet = (() => {
  /* ---- Products of matrices ---- */

  /*
   * Adds the product of a [rows, depth] and b [depth, columns] to out [rows, columns].
   *
   * a and b are {data, offset, row, column}: element (i, j) is data[offset + i * row + j * column]. Blocks of
   * four rows and two columns are summed in registers, which is several times as fast as one element at a time.
   */
  function addProduct(out, rows, columns, depth, a, b) {
    const left = a.data, right = b.data, step = a.column, next = b.row;
    let i = 0;
    for (; i + 4 <= rows; i += 4) {
      const a0 = a.offset + i * a.row, a1 = a0 + a.row, a2 = a1 + a.row, a3 = a2 + a.row;
      let j = 0;
      for (; j + 2 <= columns; j += 2) {
        let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
        let q = b.offset + j * b.column;
        const other = b.column;
        for (let k = 0, p = 0; k < depth; k++, p += step, q += next) {
          const x = right[q], y = right[q + other];
          const w0 = left[a0 + p], w1 = left[a1 + p], w2 = left[a2 + p], w3 = left[a3 + p];
          s00 += w0 * x; s01 += w0 * y;
          s10 += w1 * x; s11 += w1 * y;
          s20 += w2 * x; s21 += w2 * y;
          s30 += w3 * x; s31 += w3 * y;
        }
        let o = i * columns + j;
        out[o] += s00; out[o + 1] += s01; o += columns;
        out[o] += s10; out[o + 1] += s11; o += columns;
        out[o] += s20; out[o + 1] += s21; o += columns;
        out[o] += s30; out[o + 1] += s31;
      }
      for (let row = i; row < i + 4; row++) addSums(out, row, j, columns, depth, a, b);
    }
    for (; i < rows; i++) addSums(out, i, 0, columns, depth, a, b);
  }

  /* The same for one row, from the column `first` on. */
  function addSums(out, row, first, columns, depth, a, b) {
    for (let j = first; j < columns; j++) {
      let sum = 0, p = a.offset + row * a.row, q = b.offset + j * b.column;
      for (let k = 0; k < depth; k++, p += a.column, q += b.row) sum += a.data[p] * b.data[q];
      out[row * columns + j] += sum;
    }
  }

  const matrix = (data, columns, offset = 0) => ({ data, offset, row: columns, column: 1 });
  const transposed = (data, columns, offset = 0) => ({ data, offset, row: 1, column: columns });

  /* ---- Convolutions ---- */

  /*
   * Visits each pair of numbers that a convolution multiplies with the same weights:
   * visit(place in columns, place in picture), for the picture [channels, height, width] from `from` on.
   * `columns` is [channels * kernel rows * kernel columns, positions], one column for each position.
   */
  function eachPatch(g, from, visit) {
    const positions = g.outHeight * g.outWidth;
    let row = 0;
    for (let channel = 0; channel < g.channels; channel++) {
      const start = from + channel * g.height * g.width;
      for (let ky = 0; ky < g.kernel[0]; ky++) {
        for (let kx = 0; kx < g.kernel[1]; kx++, row++) {
          for (let y = 0; y < g.outHeight; y++) {
            const top = y * g.stride[0] - g.padding[0] + ky * g.dilation[0];
            if (top < 0 || top >= g.height) continue;
            let left = kx * g.dilation[1] - g.padding[2];
            let place = row * positions + y * g.outWidth;
            for (let x = 0; x < g.outWidth; x++, left += g.stride[1], place++) {
              if (left >= 0 && left < g.width) visit(place, start + top * g.width + left);
            }
          }
        }
      }
    }
  }

  function toColumns(g, picture, from) {
    const columns = new Float32Array(g.depth * g.outHeight * g.outWidth);
    eachPatch(g, from, (place, pixel) => { columns[place] = picture[pixel]; });
    return columns;
  }

  function addColumns(g, columns, picture, from) {
    eachPatch(g, from, (place, pixel) => { picture[pixel] += columns[place]; });
  }

  /*
   * The sizes of a convolution from a large picture to a small one. A transposed convolution is the backward
   * pass of a convolution, so its output is the large picture.
   */
  function geometry(layer, large, small, weight) {
    const { groups } = layer.settings;
    const kernel = weight.shape.slice(2), channels = large[0] / groups;
    return {
      channels, kernel, groups, filters: small[0] / groups, depth: channels * kernel[0] * kernel[1],
      height: large[1], width: large[2], outHeight: small[1], outWidth: small[2],
      stride: layer.settings.stride, padding: layer.settings.padding, dilation: layer.settings.dilation,
    };
  }

  /* Adds to the small picture what the convolution of the large one with `weight` gives. */
  function convolve(g, weight, large, small) {
    const positions = g.outHeight * g.outWidth;
    for (let group = 0; group < g.groups; group++) {
      const columns = toColumns(g, large, group * g.channels * g.height * g.width);
      const filters = matrix(weight, g.depth, group * g.filters * g.depth);
      const out = small.subarray(group * g.filters * positions, (group + 1) * g.filters * positions);
      addProduct(out, g.filters, positions, g.depth, filters, matrix(columns, positions));
    }
  }

  /* Adds to the large picture what the backward pass of `convolve` gives for the small one. */
  function convolveBack(g, weight, small, large) {
    const positions = g.outHeight * g.outWidth;
    for (let group = 0; group < g.groups; group++) {
      const columns = new Float32Array(g.depth * positions);
      const filters = transposed(weight, g.depth, group * g.filters * g.depth);
      const values = matrix(small, positions, group * g.filters * positions);
      addProduct(columns, g.depth, positions, g.filters, filters, values);
      addColumns(g, columns, large, group * g.channels * g.height * g.width);
    }
  }

  function addBias(bias, values) {
    const size = values.length / bias.length;
    for (let channel = 0, n = 0; channel < bias.length; channel++) {
      for (let k = 0; k < size; k++, n++) values[n] += bias[channel];
    }
  }

  /* ---- Functions of single numbers: [function, derivative by x given x and the output] ---- */

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const FUNCTIONS = {
    "relu": [(x) => (x > 0 ? x : 0), (x) => (x > 0 ? 1 : 0)],
    "leaky relu": [(x, s) => (x > 0 ? x : s.slope * x), (x, y, s) => (x > 0 ? 1 : s.slope)],
    "sigmoid": [sigmoid, (x, y) => y * (1 - y)],
    "tanh": [Math.tanh, (x, y) => 1 - y * y],
    "silu": [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
    "gelu": [(x) => x * normal(x), (x) => normal(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI)],
  };

  /* The normal distribution function, to 1e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
  function normal(x) {
    const z = Math.abs(x) / Math.SQRT2, t = 1 / (1 + 0.3275911 * z);
    const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const tail = series * Math.exp(-z * z) / 2;
    return x > 0 ? 1 - tail : tail;
  }

  /* ---- Layers ----
   *
   * forward(layer, inputs, out) fills out.values, which is zero before. It may keep further values in `out` for
   * backward(layer, inputs, out, gradient, into), which adds the gradient by each input to into[n].
   * `inputs` are the outputs of the layers that this one takes.
   */
  const KINDS = {
    "convolution": {
      forward(layer, [input], out) {
        const { weight, bias } = layer.weights;
        convolve(geometry(layer, input.shape, layer.shape, weight), weight.values, input.values, out.values);
        if (bias) addBias(bias.values, out.values);
      },
      backward(layer, [input], out, gradient, [into]) {
        const { weight } = layer.weights;
        convolveBack(geometry(layer, input.shape, layer.shape, weight), weight.values, gradient, into);
      },
    },
    "transposed convolution": {
      forward(layer, [input], out) {
        const { weight, bias } = layer.weights;
        convolveBack(geometry(layer, layer.shape, input.shape, weight), weight.values, input.values, out.values);
        if (bias) addBias(bias.values, out.values);
      },
      backward(layer, [input], out, gradient, [into]) {
        const { weight } = layer.weights;
        convolve(geometry(layer, layer.shape, input.shape, weight), weight.values, gradient, into);
      },
    },
    "linear": {
      forward(layer, [input], out) {
        const { weight, bias } = layer.weights, [features, size] = weight.shape, count = input.values.length / size;
        addProduct(out.values, count, features, size, matrix(input.values, size), transposed(weight.values, size));
        if (bias) out.values.forEach((value, n) => { out.values[n] = value + bias.values[n % features]; });
      },
      backward(layer, [input], out, gradient, [into]) {
        const { weight } = layer.weights, [features, size] = weight.shape, count = input.values.length / size;
        addProduct(into, count, size, features, matrix(gradient, features), matrix(weight.values, size));
      },
    },
    "batch norm": {
      forward(layer, [input], out) {
        const { scale, shift } = layer.weights, size = out.values.length / scale.values.length;
        out.values.forEach((_, n) => {
          const channel = Math.floor(n / size);
          out.values[n] = input.values[n] * scale.values[channel] + shift.values[channel];
        });
      },
      backward(layer, inputs, out, gradient, [into]) {
        const scale = layer.weights.scale.values, size = gradient.length / scale.length;
        gradient.forEach((value, n) => { into[n] += value * scale[Math.floor(n / size)]; });
      },
    },
    "max pool": {
      forward(layer, [input], out) {
        out.chosen = new Int32Array(out.values.length);
        eachWindow(layer, input.shape, (n, window) => {
          let best = window[0];
          for (const place of window) if (input.values[place] > input.values[best]) best = place;
          out.values[n] = input.values[best];
          out.chosen[n] = best;
        });
      },
      backward(layer, inputs, out, gradient, [into]) {
        gradient.forEach((value, n) => { into[out.chosen[n]] += value; });
      },
    },
    "average pool": {
      forward(layer, [input], out) {
        eachWindow(layer, input.shape, (n, window) => {
          for (const place of window) out.values[n] += input.values[place] / window.length;
        });
      },
      backward(layer, [input], out, gradient, [into]) {
        eachWindow(layer, input.shape, (n, window) => {
          for (const place of window) into[place] += gradient[n] / window.length;
        });
      },
    },
    "lstm": { forward: lstmForward, backward: lstmBackward },
    "step": {
      forward(layer, [input], out) {
        const size = out.values.length, start = layer.settings.index * size;
        out.values.set(input.values.subarray(start, start + size));
      },
      backward(layer, inputs, out, gradient, [into]) {
        gradient.forEach((value, n) => { into[layer.settings.index * gradient.length + n] += value; });
      },
    },
    "embedding": {
      forward(layer, [input], out) {
        const { values, shape: [entries, features] } = layer.weights.weight;
        addProduct(out.values, 1, features, entries, matrix(input.values, entries), matrix(values, features));
      },
      backward(layer, inputs, out, gradient, [into]) {
        const { values, shape: [entries, features] } = layer.weights.weight;
        addProduct(into, 1, entries, features, matrix(gradient, features), transposed(values, features));
      },
    },
    "concatenation": {
      forward(layer, inputs, out) {
        let start = 0;
        for (const input of inputs) {
          out.values.set(input.values, start);
          start += input.values.length;
        }
      },
      backward(layer, inputs, out, gradient, into) {
        let start = 0;
        for (const part of into) {
          part.forEach((_, n) => { part[n] += gradient[start + n]; });
          start += part.length;
        }
      },
    },
    "sum": {
      forward(layer, inputs, out) {
        for (const input of inputs) input.values.forEach((value, n) => { out.values[n] += value; });
      },
      backward(layer, inputs, out, gradient, into) {
        for (const part of into) gradient.forEach((value, n) => { part[n] += value; });
      },
    },
    "reshape": {
      forward(layer, [input], out) { out.values.set(input.values); },
      backward(layer, inputs, out, gradient, [into]) { gradient.forEach((value, n) => { into[n] += value; }); },
    },
    "softmax": {
      forward(layer, [input], out) { out.values.set(softmax(input.values)); },
      backward(layer, inputs, out, gradient, [into]) {
        let mean = 0;
        gradient.forEach((value, n) => { mean += value * out.values[n]; });
        gradient.forEach((value, n) => { into[n] += out.values[n] * (value - mean); });
      },
    },
    "log softmax": {
      forward(layer, [input], out) {
        const largest = Math.max(...input.values);
        let sum = 0;
        for (const value of input.values) sum += Math.exp(value - largest);
        input.values.forEach((value, n) => { out.values[n] = value - largest - Math.log(sum); });
      },
      backward(layer, inputs, out, gradient, [into]) {
        const total = gradient.reduce((sum, value) => sum + value, 0);
        gradient.forEach((value, n) => { into[n] += value - Math.exp(out.values[n]) * total; });
      },
    },
  };
  KINDS["adaptive average pool"] = KINDS["average pool"];
  for (const [kind, [f, derivative]] of Object.entries(FUNCTIONS)) {
    KINDS[kind] = {
      forward(layer, [input], out) {
        const x = input.values, y = out.values;
        for (let n = 0; n < y.length; n++) y[n] = f(x[n], layer.settings);
      },
      backward(layer, [input], out, gradient, [into]) {
        const x = input.values, y = out.values;
        for (let n = 0; n < y.length; n++) into[n] += gradient[n] * derivative(x[n], y[n], layer.settings);
      },
    };
  }

  /* Visits each window of a pool: visit(place in the output, places in the input [channels, height, width]). */
  function eachWindow(layer, [, height, width], visit) {
    const [channels, outHeight, outWidth] = layer.shape, { size, stride, padding } = layer.settings;
    const span = (n, axis, from, to) => (size
      ? [n * stride[axis] - padding[axis], n * stride[axis] - padding[axis] + size[axis]]
      : [Math.floor(n * from / to), Math.ceil((n + 1) * from / to)]);  // adaptive
    for (let channel = 0, n = 0; channel < channels; channel++) {
      for (let y = 0; y < outHeight; y++) {
        const [top, bottom] = span(y, 0, height, outHeight);
        for (let x = 0; x < outWidth; x++, n++) {
          const [left, right] = span(x, 1, width, outWidth), window = [];
          for (let row = Math.max(0, top); row < Math.min(height, bottom); row++) {
            for (let column = Math.max(0, left); column < Math.min(width, right); column++) {
              window.push((channel * height + row) * width + column);
            }
          }
          visit(n, window);
        }
      }
    }
  }

  /*
   * An LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000). It keeps its gates
   * [steps, 4 H], after their functions, and its cells [steps, H].
   */
  function lstmForward(layer, [input], out) {
    const [steps, size] = input.shape, hidden = layer.shape[1], width = 4 * hidden;
    const { input: fromInput, hidden: fromState, bias } = layer.weights;
    const gates = new Float32Array(steps * width), cells = new Float32Array(steps * hidden);
    addProduct(gates, steps, width, size, matrix(input.values, size), transposed(fromInput.values, size));
    for (let t = 0; t < steps; t++) {
      const now = gates.subarray(t * width, (t + 1) * width);
      if (t > 0) {
        const state = matrix(out.values, 1, (t - 1) * hidden);
        addProduct(now, width, 1, hidden, matrix(fromState.values, hidden), state);
      }
      for (let n = 0; n < width; n++) {
        const sum = now[n] + bias.values[n];
        now[n] = n >= 2 * hidden && n < 3 * hidden ? Math.tanh(sum) : sigmoid(sum);
      }
      for (let n = 0; n < hidden; n++) {
        const before = t > 0 ? cells[(t - 1) * hidden + n] : 0;
        const cell = now[hidden + n] * before + now[n] * now[2 * hidden + n];
        cells[t * hidden + n] = cell;
        out.values[t * hidden + n] = now[3 * hidden + n] * Math.tanh(cell);
      }
    }
    out.gates = gates;
    out.cells = cells;
  }

  function lstmBackward(layer, [input], out, gradient, [into]) {
    const [steps, size] = input.shape, hidden = layer.shape[1], width = 4 * hidden;
    const { gates, cells } = out, { input: fromInput, hidden: fromState } = layer.weights;
    const byGates = new Float32Array(steps * width);
    let byState = new Float32Array(hidden);
    const byCell = new Float32Array(hidden);
    for (let t = steps - 1; t >= 0; t--) {
      for (let n = 0; n < hidden; n++) {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => gates[t * width + gate * hidden + n]);
        const shown = Math.tanh(cells[t * hidden + n]), before = t > 0 ? cells[(t - 1) * hidden + n] : 0;
        const state = gradient[t * hidden + n] + byState[n];
        const cell = byCell[n] + state * o * (1 - shown * shown);
        const place = t * width + n;
        byGates[place] = cell * g * i * (1 - i);
        byGates[place + hidden] = cell * before * f * (1 - f);
        byGates[place + 2 * hidden] = cell * i * (1 - g * g);
        byGates[place + 3 * hidden] = state * shown * o * (1 - o);
        byCell[n] = cell * f;
      }
      byState = new Float32Array(hidden);
      addProduct(byState, 1, hidden, width, matrix(byGates, width, t * width), matrix(fromState.values, hidden));
    }
    addProduct(into, steps, size, width, matrix(byGates, width), matrix(fromInput.values, size));
  }

  function softmax(values) {
    const largest = Math.max(...values), powers = Float64Array.from(values, (value) => Math.exp(value - largest));
    const sum = powers.reduce((total, value) => total + value, 0);
    return Float32Array.from(powers, (value) => value / sum);
  }

  /* ---- Weights ---- */

  /* The numbers of a description, as Float32Array. */
  function decodeWeights({ type, data }) {
    const text = atob(data), bytes = new Uint8Array(text.length);
    for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
    const view = new DataView(bytes.buffer), size = type === "float32" ? 4 : 2;
    const numbers = new Float32Array(bytes.length / size);
    for (let n = 0; n < numbers.length; n++) {
      numbers[n] = size === 4 ? view.getFloat32(4 * n, true) : decodeHalf(view.getUint16(2 * n, true));
    }
    return numbers;
  }

  const POWERS = Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 15));

  /* The number of these 16 bits: a sign, five bits of the exponent, ten bits of the fraction (IEEE 754). */
  function decodeHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    return sign * (exponent === 0 ? fraction * POWERS[1] : (1 + fraction) * POWERS[exponent]);
  }

  /* The layers of a description with the numbers of their weights in place. */
  function withNumbers(description) {
    const numbers = decodeWeights(description.weights);
    return description.layers.map((layer) => ({
      ...layer,
      weights: Object.fromEntries(Object.entries(layer.weights).map(([name, { offset, shape }]) => {
        const count = shape.reduce((product, n) => product * n, 1);
        return [name, { shape, values: numbers.subarray(offset, offset + count) }];
      })),
    }));
  }

  /* ---- The net ---- */

  const isInput = (layer) => layer.inputs.length === 0;

  return function makeNet(description) {
    const layers = withNumbers(description), { temperature, view } = description;

    function run(inputs) {
      const outputs = [], given = [...inputs];
      for (const layer of layers) {
        const { name, title, kind, shape } = layer;
        const out = { name, title, kind, shape };
        if (isInput(layer)) {
          out.values = Float32Array.from(given.shift());
        } else {
          out.values = new Float32Array(shape.reduce((product, n) => product * n, 1));
          KINDS[kind].forward(layer, layer.inputs.map((n) => outputs[n]), out);
        }
        outputs.push(out);
      }
      return outputs;
    }

    const normalize = (pixels) => Float32Array.from(pixels, (grey) => grey / 127.5 - 1);

    function forward(pixels) {
      const outputs = run([normalize(pixels)]), logits = outputs[outputs.length - 1].values;
      return { layers: outputs, logits, probabilities: softmax(logits.map((value) => value / temperature)) };
    }

    function gradient(pixels, answer) {
      const outputs = run([normalize(pixels)]);
      const gradients = outputs.map((out) => new Float32Array(out.values.length));
      gradients[gradients.length - 1][answer] = 1;
      for (let n = layers.length - 1; n > 0; n--) {
        const { kind, inputs } = layers[n];
        const from = inputs.map((k) => outputs[k]), into = inputs.map((k) => gradients[k]);
        KINDS[kind].backward(layers[n], from, outputs[n], gradients[n], into);
      }
      return gradients[0].map((value) => value / 127.5);
    }

    function saliency(pixels, answer) {
      return gradient(pixels, answer).map((value, n) => value * pixels[n]);
    }

    function see(pixels) {
      return Float32Array.from(pixels, (_, n) => {
        const grey = pixels[view.order ? view.order[n] : n];
        return view.inverted ? 255 - grey : grey;
      });
    }

    function generate(noise, digit) {
      const weights = typeof digit === "number" ? Array.from({ length: 10 }, (_, n) => Number(n === digit)) : digit;
      const { values } = run([noise, weights]).at(-1);
      return Uint8ClampedArray.from(values, (value) => (value + 1) * 127.5);
    }

    return { description, layers, run, forward, gradient, saliency, see, generate };
  };
})();
