/** Puts the builder into its page. */

import "@xyflow/react/dist/base.css";
import "./builder.css";
import { createRoot } from "react-dom/client";
import { Api, type Place } from "./api.ts";
import { Builder } from "./builder.tsx";
import { Mishap } from "./mishap.tsx";

async function mount(root: HTMLElement): Promise<void> {
  const place = JSON.parse(document.getElementById("builder-place")?.textContent ?? "") as Place;
  const api = new Api(place);
  const [{ value: draft, tag }, catalogue] = await Promise.all([api.draft(), api.catalogue()]);
  if (draft) createRoot(root).render(<Mishap><Builder api={api} catalogue={catalogue} draft={draft} tag={tag} /></Mishap>);
}

const root = document.getElementById("builder");
if (root) {
  mount(root).catch((error: Error) => {
    root.textContent = `The builder could not start: ${error.message} Reload the page to try again.`;
  });
}
