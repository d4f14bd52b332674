// Closes `make bench`: one table of all ratios, and the same as target/bench.json.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const folder = "target/bench";
const rows = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .flatMap((name) => readFileSync(`${folder}/${name}`, "utf8").split("\n"))
  .filter((line) => line.trim() !== "")
  .map((line) => JSON.parse(line));
if (rows.length === 0) {
  console.error("bench: no results in target/bench");
  process.exit(1);
}
const width = Math.max(...rows.map((row) => row.name.length));
console.log(`\n${"name".padEnd(width)}  ratio   goal`);
for (const { name, ratio, goal } of rows) {
  const mark = goal !== null && ratio > goal ? "  missed" : "";
  console.log(`${name.padEnd(width)}  ${ratio.toFixed(2).padStart(5)}  ${goal === null ? "    –" : `≤ ${goal}`}${mark}`);
}
writeFileSync("target/bench.json", `${JSON.stringify(rows, null, 2)}\n`);
