import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

// All names of files are relative: a page lies at /ROOM or at /TENANT/ROOM, and asks for /assets.
export default defineConfig({
  base: "/",
  plugins: [solid()],
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    outDir: "dist",
    assetsDir: "assets",
    assetsInlineLimit: 0,
    sourcemap: false,
    modulePreload: { polyfill: false },
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
