/** Puts the page into the document. */

import { render } from "solid-js/web";
import { App, type OpenMeeting } from "./App";
import { startLanguage } from "./language";
import { startTheme } from "./theme";

export async function startPage(open: OpenMeeting): Promise<void> {
  startTheme();
  await startLanguage();
  const root = document.getElementById("app");
  if (root === null) throw new Error("the page has no #app");
  root.replaceChildren();
  render(() => <App open={open} />, root);
}
