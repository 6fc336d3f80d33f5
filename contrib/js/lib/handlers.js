// SPDX-License-Identifier: BSD-2-Clause
// Attributes like `onmessage` (HTML standard, section 8.1.8.1): one listener, in the place in the order that
// it had when it was first set.

const handlers = new WeakMap(); // target: {type: {handle}}

export function defineHandlers(prototype, types) {
  for (const type of types)
    Object.defineProperty(prototype, `on${type}`, {
      enumerable: true,
      configurable: true,
      get() {
        return handlers.get(this)?.[type]?.handle ?? null;
      },
      set(handle) {
        setHandler(this, type, typeof handle === "function" ? handle : null);
      },
    });
}

function setHandler(target, type, handle) {
  const own = handlers.get(target) ?? {};
  handlers.set(target, own);
  if (own[type]) {
    own[type].handle = handle;
    return;
  }
  own[type] = { handle };
  target.addEventListener(type, (event) => own[type].handle?.call(target, event));
}
