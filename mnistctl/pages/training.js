// The training of a net: its curves, its recipe and its record.

function trainingOf({ record, model, parameters, digest }) {
  const about = [
    ["model", model],
    ["parameters", parameters.toLocaleString("en")],
    ["weights", `SHA-256 ${digest}`],
  ];
  if (!record)
    return [
      fieldList(about),
      element(
        "p",
        { class: "note" },
        "The record of the training was not next to the weights, so there are no curves.",
      ),
    ];
  const {
    recipe,
    losses,
    test_losses: testLosses,
    validation_losses: validationLosses,
    accuracies,
    discriminator_losses: discriminator,
    generator_losses: generator,
    ...rest
  } = record;
  const split = validationLosses ? "validation" : "test";
  const scoredLosses = validationLosses ?? testLosses;
  const charts = [
    losses &&
      scoredLosses &&
      epochChart(
        "loss",
        "",
        [
          ["training", losses],
          [split, scoredLosses],
        ],
        true,
      ),
    accuracies && epochChart(`${split} accuracy`, "in %", [[`${split} accuracy`, accuracies]], false),
    discriminator &&
      generator &&
      epochChart(
        "loss",
        "",
        [
          ["discriminator", discriminator],
          ["generator", generator],
        ],
        true,
      ),
    epochChart("learning rate", "", [["learning rate", recipe.lr_schedule]], true),
  ].filter(Boolean);
  const shown = new Set(["model", "parameters", "digest"]);
  const { lr_schedule: _, ...settings } = recipe; // its chart is above
  return [
    element("div", { class: "charts" }, ...charts),
    element(
      "div",
      { class: "pair" },
      element("article", {}, element("h3", {}, "Recipe"), fieldList(fieldsOf(settings))),
      element(
        "article",
        {},
        element("h3", {}, "Record"),
        fieldList([...about, ...fieldsOf(rest).filter(([name]) => !shown.has(name))]),
      ),
    ),
  ];
}

function fieldList(pairs) {
  return element(
    "dl",
    { class: "list" },
    ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

// The fields of a JSON object as pairs of a name such as `machine.cores` and a text.
function fieldsOf(value, name = "") {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value) && value.length === 0) return [];
  if (Array.isArray(value)) {
    const texts = value
      .slice(0, 12)
      .map((each) => (typeof each === "object" ? JSON.stringify(each) : String(each)));
    return [[name.replaceAll("_", " "), value.length > 12 ? `${texts.join(", ")}, …` : texts.join(", ")]];
  }
  if (typeof value === "object")
    return Object.entries(value).flatMap(([key, each]) => fieldsOf(each, name ? `${name}.${key}` : key));
  const exact = typeof value !== "number" || Number.isInteger(value);
  return [[name.replaceAll("_", " "), exact ? String(value) : String(Number(value.toPrecision(6)))]];
}
