// SPDX-License-Identifier: BSD-2-Clause
// Bytes in text. The platform's own functions are not everywhere yet.

const CHUNK = 8192; // arguments of one call

export const fromBase64 = Uint8Array.fromBase64 ?? ((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));

export function toBase64(bytes) {
  if (bytes.toBase64)
    return bytes.toBase64();
  let characters = "";
  for (let at = 0; at < bytes.length; at += CHUNK)
    characters += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(characters);
}
