/** `npx vite --config dev/vite.config.ts`: the page with a meeting that needs no server. Not part of the build. */

import solid from "vite-plugin-solid";
import { defineConfig } from "vite";
import { icons } from "../scripts/icons";
import { ICONS } from "../src/view/icons";

export default defineConfig({
  plugins: [
    solid(),
    icons(ICONS),
    {
      name: "fake-meeting",
      transformIndexHtml: { order: "pre", handler: (html) =>
          html.replace("/src/main.tsx", "/dev/main.ts").replace(/<script defer.*config.js.*script>/, ""),
      },
    },
  ],
});
