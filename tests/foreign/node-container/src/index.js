const fs = require("fs");
const path = require("path");

const input = process.env.INPUT_DIRECTORY || "/var/runtime/input";
const output = process.env.OUTPUT_DIRECTORY || "/var/runtime/output";
const data = JSON.parse(fs.readFileSync(path.join(input, "data.json")));

if (!Array.isArray(data.values)) {
  console.error("there are no values");
  process.exit(1);
}
console.log(`adding ${data.values.length} values`);
const sum = data.values.reduce((total, value) => total + value, 0);
fs.writeFileSync(path.join(output, "output.json"), JSON.stringify({ sum }));
fs.writeFileSync(path.join(output, "count.txt"), String(data.values.length));
