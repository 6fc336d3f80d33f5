// SPDX-License-Identifier: BSD-2-Clause
// What a browser tells about the network and the page.

// page: {window, document} or parts of them. Calls wake({changed}) when waiting longer makes no
// sense, leave() when the page goes for good. Returns a function that stops it.
export function watchPage({ window, document }, { wake, leave }) {
  const stops = [];
  const on = (target, type, listener) => {
    if (typeof target?.addEventListener !== "function")
      return;
    target.addEventListener(type, listener);
    stops.push(() => target.removeEventListener(type, listener));
  };
  on(window, "online", () => wake({ changed: true }));
  on(window, "pagehide", (event) => event.persisted || leave());
  on(document, "visibilitychange", () => document.visibilityState === "visible" && wake());
  return () => stops.forEach((stop) => stop());
}
