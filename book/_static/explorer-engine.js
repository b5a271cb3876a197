/* A random path generator (sn-resnet) in plain JavaScript: a path in, the levels 0 … 255 of an image out.
   It computes in single precision as PyTorch does; levels differ by one at most. */
(function () {
  "use strict";

  const KEPT = 48; // activations kept for every length of a beginning
  const POWERS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));

  /** Decodes base64 of little-endian float16. */
  function decode(base64) {
    const text = atob(base64);
    const values = new Float32Array(text.length / 2);
    for (let i = 0; i < values.length; i++) {
      values[i] = half(text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8));
    }
    return values;
  }

  function half(bits) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = (exponent ? 1024 + fraction : fraction) * POWERS[exponent];
    return bits & 0x8000 ? -size : size;
  }

  /** Cuts the weights into the layers of each instance, in the order in which the book wrote them. */
  function layersOf(model) {
    const values = decode(model.weights);
    let at = 0;
    const take = (n) => values.subarray(at, (at += n));
    const conv = (inputs, outputs) => ({ inputs, outputs, weight: take(outputs * inputs * 9), bias: take(outputs) });
    const last = model.bucketSizes.length - 1;
    const layers = model.bucketSizes.map((size, bucket) =>
      Array.from({ length: size }, () => {
        if (bucket === 0) return take(model.widths[0] * 16);
        if (bucket === last) return conv(model.widths[bucket - 1], model.imageShape[0]);
        const [inputs, outputs] = [model.widths[bucket - 1], model.widths[bucket]];
        return {
          conv1: conv(inputs, outputs),
          conv2: conv(outputs, outputs),
          skip: inputs === outputs ? null : conv(inputs, outputs),
        };
      }),
    );
    if (at !== values.length) throw new Error(`${values.length} weights; the model's shape expects ${at}`);
    return layers;
  }

  /** Copies planes of side×side, each pixel repeated factor×factor, into planes with a border of zeros. */
  function bordered(x, channels, side, factor, leak) {
    const wide = side * factor;
    const stride = wide + 2;
    const out = new Float32Array(channels * stride * stride);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < wide; y++) {
        const from = (c * side + Math.floor(y / factor)) * side;
        const to = (c * stride + y + 1) * stride + 1;
        for (let i = 0; i < wide; i++) {
          const value = x[from + (factor === 2 ? i >> 1 : i)];
          out[to + i] = value < 0 ? leak * value : value;
        }
      }
    }
    return out;
  }

  /** A 3×3 convolution of bordered planes. */
  function convolve(x, side, layer) {
    const { inputs, outputs, weight, bias } = layer;
    const stride = side + 2;
    const area = side * side;
    const out = new Float32Array(outputs * area);
    for (let o = 0; o < outputs; o++) {
      const plane = out.subarray(o * area, (o + 1) * area).fill(bias[o]);
      for (let c = 0; c < inputs; c++) {
        const w = (o * inputs + c) * 9;
        const [w0, w1, w2, w3, w4, w5, w6, w7, w8] = weight.subarray(w, w + 9);
        for (let y = 0; y < side; y++) {
          let a = (c * stride + y) * stride;
          let b = a + stride;
          let d = b + stride;
          // The window moves to the right: two of its columns are known from the step before.
          let a0 = x[a++], a1 = x[a++], b0 = x[b++], b1 = x[b++], d0 = x[d++], d1 = x[d++];
          for (let k = y * side, end = k + side; k < end; k++) {
            const a2 = x[a++], b2 = x[b++], d2 = x[d++];
            plane[k] +=
              w0 * a0 + w1 * a1 + w2 * a2 + w3 * b0 + w4 * b1 + w5 * b2 + w6 * d0 + w7 * d1 + w8 * d2;
            a0 = a1; a1 = a2; b0 = b1; b1 = b2; d0 = d1; d1 = d2;
          }
        }
      }
    }
    return out;
  }

  /** A residual block that doubles the resolution. */
  function upBlock(x, side, block, leak) {
    const { inputs, outputs } = block.conv1;
    const wide = 2 * side;
    const residual = convolve(bordered(x, inputs, side, 2, leak), wide, block.conv1);
    const out = convolve(bordered(residual, outputs, wide, 1, leak), wide, block.conv2);
    if (block.skip) {
      const skipped = convolve(bordered(x, inputs, side, 2, 1), wide, block.skip);
      for (let i = 0; i < out.length; i++) out[i] += skipped[i];
      return out;
    }
    for (let i = 0; i < out.length; i++) {
      const row = Math.floor(i / wide); // of all planes, one below the other
      out[i] += x[(row >> 1) * side + ((i - row * wide) >> 1)];
    }
    return out;
  }

  /** BatchNorm with fixed statistics. */
  function normed(x, area, scale, shift) {
    return x.map((value, i) => {
      const channel = Math.floor(i / area);
      return value * scale[channel] + shift[channel];
    });
  }

  /** The level of a value in [−1, 1]: in single precision, halves to the even neighbour, as rpgan.images has it. */
  function level(value) {
    const scaled = Math.fround(Math.fround(Math.fround(value) + 1) * 127.5);
    const down = Math.floor(scaled);
    const rest = scaled - down;
    const rounded = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
    return Math.min(255, Math.max(0, rounded));
  }

  /** Prepares a model; the result renders paths and keeps what paths with the same beginning share. */
  function prepare(model) {
    const layers = layersOf(model);
    const last = layers.length - 1;
    const side = model.imageShape[1];
    const kept = layers.map(() => new Map());

    function activation(path, bucket) {
      const key = path.slice(0, bucket + 1).join(".");
      const store = kept[bucket];
      const found = store.get(key) || compute(path, bucket);
      store.delete(key); // the last used goes to the end of the map, its beginning is given up
      store.set(key, found);
      if (store.size > KEPT) store.delete(store.keys().next().value);
      return found;
    }

    function compute(path, bucket) {
      const layer = layers[bucket][path[bucket]];
      if (bucket === 0) return layer;
      return upBlock(activation(path, bucket - 1), 4 << (bucket - 1), layer, model.leak);
    }

    /** The levels of an image, channel by channel: Uint8Array of the length of imageShape's product. */
    function levels(path) {
      const features = normed(activation(path, last - 1), side * side, model.scale, model.shift);
      const leak = model.lastRelu ? 0 : 1;
      const input = bordered(features, model.widths[last - 1], side, 1, leak);
      const out = convolve(input, side, layers[last][path[last]]);
      return Uint8Array.from(out, (value) => level(Math.tanh(value)));
    }

    return { levels };
  }

  window.RpganEngine = { prepare };
})();
