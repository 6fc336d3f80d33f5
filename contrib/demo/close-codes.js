// SPDX-License-Identifier: BSD-2-Clause
// What close codes mean (RFC 6455 section 7.4 and its registry), and what culvert says with them.

const codes = {
  1000: ["normal", "The conversation is over: one side ended it in order. From culvert: the target closed its connection, and all that it had sent has arrived."],
  1001: ["going away", "The server is being stopped, or the page was left."],
  1002: ["protocol error", "A frame did not follow the protocol."],
  1003: ["unsupported data", "This kind of message is not taken here."],
  1005: ["no code", "The other side closed in order, without saying why."],
  1006: ["abnormal", "No Close frame came: the handshake was refused, or the connection was lost. A browser does not tell which."],
  1007: ["invalid payload", "A text message was not valid UTF-8."],
  1008: ["policy", "A rule of the server was broken."],
  1009: ["too big", "A message was larger than is taken here."],
  1010: ["extension missing", "The client needs an extension that the server did not agree to."],
  1011: ["internal error", "Something went wrong inside the server."],
  1012: ["restart", "The server restarts; come back soon."],
  1013: ["try again later", "The client did not take what was sent to it, or the server has too much to do."],
  1014: ["bad gateway", "The target behind culvert failed or reset its connection."],
  1015: ["TLS failed", "The TLS handshake did not succeed."],
};

export function closeCode(code) {
  if (codes[code])
    return { name: codes[code][0], meaning: codes[code][1] };
  if (code >= 3000 && code < 4000)
    return { name: "registered", meaning: "A code that libraries and frameworks agree on." };
  if (code >= 4000 && code < 5000)
    return { name: "private", meaning: "A code that this application gave its own meaning." };
  return { name: "unknown", meaning: "No meaning is registered for this code." };
}
