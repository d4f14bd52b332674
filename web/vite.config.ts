import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

import { icons } from "./scripts/icons.js";
import { ICONS } from "./src/view/icons.ts";

export default defineConfig({
  // A page lies at /ROOM or at /TENANT/ROOM: everything is asked for from the root.
  base: "/",
  plugins: [solid(), icons(ICONS)],
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    outDir: "dist",
    assetsDir: "assets",
    // The content security policy allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
