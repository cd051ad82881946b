// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
export { PresenceClient, createClient } from './src/client.js';
export { nameOf, subjectOf } from './src/wire.js';
