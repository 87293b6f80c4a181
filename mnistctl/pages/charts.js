// Charts as SVG: lines with axes, and the reliability diagram.

const CHART = { width: 360, height: 240, left: 48, right: 14, top: 14, bottom: 36 };

function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const values = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++)
    values.push(Number((n * step).toPrecision(12)));
  return values;
}

function tickTexts(values) {
  const long = values.some((value) => String(value).length > 6);
  return values.map((value) =>
    long && value !== 0 ? value.toExponential().replace("-", "\u2212") : String(value),
  );
}

// Axes for values from `x` [low, high] and `y`; `plot(node, toX, toY)` draws inside.
function axes(title, { x, y, xLabel, yLabel }, plot) {
  const { width, height, left, right, top, bottom } = CHART;
  const scale =
    ([low, high], from, to) =>
    (value) =>
      from + ((value - low) / (high - low || 1)) * (to - from);
  const toX = scale(x, left, width - right),
    toY = scale(y, height - bottom, top);
  const node = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": title,
    class: "chart",
  });
  const rows = ticks(...y),
    texts = tickTexts(rows);
  rows.forEach((value, n) => {
    node.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: toY(value), y2: toY(value) }),
      svg("text", { class: "tick end", x: left - 6, y: toY(value) + 4 }, texts[n]),
    );
  });
  for (const value of ticks(...x)) {
    node.append(svg("text", { class: "tick middle", x: toX(value), y: height - bottom + 16 }, String(value)));
  }
  node.append(
    svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    svg("text", { class: "tick middle", x: (left + width - right) / 2, y: height - 4 }, xLabel),
  );
  plot(node, toX, toY);
  return element(
    "figure",
    {},
    element("figcaption", {}, element("strong", {}, title), yLabel ? `, ${yLabel}` : ""),
    node,
  );
}

function line(points, attributes) {
  return svg("polyline", {
    fill: "none",
    points: points.map((pair) => pair.map((n) => n.toFixed(1)).join(",")).join(" "),
    ...attributes,
  });
}

// Lines over the epochs; `series` are pairs of a name and a value for each epoch.
function epochChart(title, yLabel, series, zero) {
  const values = series.flatMap(([, row]) => row);
  const low = zero ? 0 : Math.min(...values),
    high = Math.max(...values);
  const margin = zero ? 0 : 0.06 * (high - low || 1);
  const epochs = series[0][1].length;
  const figure = axes(
    title,
    { x: [1, Math.max(2, epochs)], y: [low - margin, high + margin], xLabel: "epoch", yLabel },
    (node, toX, toY) =>
      series.forEach(([, row], n) => {
        node.append(
          line(
            row.map((value, epoch) => [toX(epoch + 1), toY(value)]),
            { class: `line line${n}` },
          ),
        );
        if (row.length < 13)
          row.forEach((value, epoch) =>
            node.append(svg("circle", { class: `dot dot${n}`, r: 2.5, cx: toX(epoch + 1), cy: toY(value) })),
          );
      }),
  );
  if (series.length > 1) {
    figure.append(
      element(
        "p",
        { class: "key" },
        ...series.map(([name], n) => element("span", { class: `key${n}` }, name)),
      ),
    );
  }
  return figure;
}

// Accuracy over confidence in each bin; the size of a point shows how many predictions the bin has.
function calibrationChart(bins, ece) {
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  const figure = axes(
    "calibration",
    { x: [0, 100], y: [0, 100], xLabel: "confidence, %", yLabel: "accuracy in %" },
    (node, toX, toY) => {
      node.append(
        svg("line", { class: "ideal", x1: toX(0), y1: toY(0), x2: toX(100), y2: toY(100) }),
        line(
          bins.map((bin) => [toX(bin.confidence), toY(bin.accuracy)]),
          { class: "line line0" },
        ),
      );
      for (const bin of bins) {
        const text = `confidence ${bin.confidence.toFixed(1)} %, accuracy ${bin.accuracy.toFixed(1)} %: ${count(bin.count, "prediction")}`;
        node.append(
          svg(
            "circle",
            {
              class: "dot dot0",
              cx: toX(bin.confidence),
              cy: toY(bin.accuracy),
              r: 2.5 + 7 * Math.sqrt(bin.count / total),
            },
            svg("title", {}, text),
          ),
        );
      }
    },
  );
  figure.append(
    element(
      "p",
      { class: "note" },
      `On the dashed line the confidence is right. The larger a point, the more predictions it stands for. Expected calibration error: ${ece.toFixed(2)} %.`,
    ),
  );
  return figure;
}
