// SPDX-License-Identifier: BSD-2-Clause
// Topics and filters as MQTT has them (MQTT 5, section 4.7).

const TOPIC_MAX = 65535; // bytes
const encoder = new TextEncoder();

const tooLong = (name) => name.length > TOPIC_MAX / 3 && encoder.encode(name).length > TOPIC_MAX;

// Throws TypeError unless it is a topic that may be published to.
export function checkTopic(topic) {
  if (typeof topic !== "string" || topic === "" || /[+#\0]/.test(topic) || tooLong(topic))
    throw new TypeError(`not a topic: ${topic}`);
}

// Throws TypeError unless wildcards stand for whole levels, and # for the last one.
export function checkFilter(filter) {
  const levels = typeof filter === "string" ? filter.split("/") : [];
  const sound = levels.every((level, i) =>
    level === "+" || (level === "#" && i === levels.length - 1) || !/[+#\0]/.test(level));
  if (levels.length === 0 || filter === "" || !sound || tooLong(filter))
    throw new TypeError(`not a topic filter: ${filter}`);
}

// Returns a function that tells whether a topic, split into its levels, matches the filter.
export function matcher(filter) {
  const wanted = filter.split("/");
  const open = wanted.at(-1) === "#";
  if (open)
    wanted.pop();
  const leading = (wanted[0] ?? "#") === "+" || wanted.length === 0;
  return (levels) => {
    // What begins with $ is the broker's, and hidden from those who ask for everything.
    if (leading && levels[0][0] === "$")
      return false;
    if (open ? levels.length < wanted.length : levels.length !== wanted.length)
      return false;
    return wanted.every((level, i) => level === "+" || level === levels[i]);
  };
}
