// SPDX-License-Identifier: BSD-2-Clause
// The library's entry.

export { CulvertSocket } from "./lib/socket.js";
export { Schedule } from "./lib/schedule.js";
