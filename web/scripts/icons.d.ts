import type { Plugin } from "vite";

/** Puts one sprite of these icons of lucide's into index.html, where `<!-- icons -->` stands. */
export function icons(names: readonly string[]): Plugin;
