/** Puts the page into the document. */

import { render } from "solid-js/web";
import { App, type OpenMeeting } from "./App";
import { startLanguage } from "./language";
import { startTheme } from "./theme";

/** The oldest browsers that the page is built for; the same question as in style/base.css. */
const isNewEnough = (): boolean => CSS.supports("color", "color-mix(in srgb, red, red)");

export function startPage(open: OpenMeeting): void {
  // What index.html says about old browsers stays.
  if (!isNewEnough()) return;
  startTheme();
  startLanguage();
  const root = document.getElementById("app");
  if (root === null) throw new Error("the page has no #app");
  root.replaceChildren();
  render(() => <App open={open} />, root);
}
