import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** @param {string} name */
function symbol(name) {
  const svg = readFileSync(require.resolve(`lucide-static/icons/${name}.svg`), "utf8");
  const drawing = /<svg[^>]*>([\s\S]*)<\/svg>/.exec(svg)?.[1];
  if (drawing === undefined) throw new Error(`no drawing in lucide's icon ${name}`);
  const short = drawing.replace(/\s+/g, " ").replace(/> </g, "><").trim();
  return `<symbol id="i-${name}" viewBox="0 0 24 24">${short}</symbol>`;
}

/** @param {readonly string[]} names */
export function icons(names) {
  const sprite = () => `<svg class="sprite" aria-hidden="true"><!-- lucide, ISC -->${names.map(symbol).join("")}</svg>`;
  return {
    name: "tertulia-icons",
    /** @param {string} html */
    transformIndexHtml: (html) => html.replace("<!-- icons -->", sprite()),
  };
}
