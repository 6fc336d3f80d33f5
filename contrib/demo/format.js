// SPDX-License-Identifier: BSD-2-Clause
// Numbers, bytes and times for people.

export function size(bytes) {
  if (bytes < 1000)
    return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

export function count(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

export function clock(date = new Date()) {
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

// Browsers round their clock to a tenth of a millisecond.
export function milliseconds(value) {
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

// "48 65 6c", "48656c" or "0x48,0x65" to bytes; throws with a sentence for the user.
export function parseHex(text) {
  const digits = text.replace(/0x/gi, "").replace(/[\s,:]/g, "");
  const wrong = digits.match(/[^0-9a-f]/i);
  if (wrong)
    throw new Error(`“${wrong[0]}” is no hexadecimal digit.`);
  if (digits.length % 2)
    throw new Error("A byte has two digits: one is missing.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

// Bytes as text if they are text, else as hex.
export function readable(bytes, limit) {
  const head = bytes.subarray(0, limit);
  const more = bytes.length > limit ? " …" : "";
  try {
    // What was cut at the limit may end inside of a character.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: bytes.length > limit });
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text))
      return text + more;
  } catch {
    // not UTF-8
  }
  return toHex(head) + more;
}
