// SPDX-License-Identifier: BSD-2-Clause
// The library's entry for topic routes.

export { CulvertTopics } from "./lib/topics/topics.js";
export { PublishError } from "./lib/topics/publisher.js";
