/** Light or dark: what was chosen here, else what the system says. */

import { createSignal } from "solid-js";
import { memory } from "./memory";

type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const [theme, setTheme] = createSignal<Theme>("light");

export { theme };

function use(next: Theme): void {
  document.documentElement.dataset["theme"] = next;
  setTheme(next);
}

export function startTheme(): void {
  const follow = (): void => use(memory.theme() ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", follow);
  follow();
}

export function switchTheme(): void {
  const next = theme() === "dark" ? "light" : "dark";
  memory.setTheme(next);
  use(next);
}
