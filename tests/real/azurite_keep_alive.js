// Loaded into Azurite: a connection that says nothing stays open for ten minutes, as long as any test may take.
// After five seconds one may end in the moment in which a test on a busy machine uses it again, and is then reset.
// Azurite's option --tableKeepAliveTimeout is for that, but 3.35.0 does not read its value and sets five seconds.
'use strict';
const http = require('http');

const create = http.createServer;
const patient = { get: () => 600000, set: () => {} };
http.createServer = (...given) => Object.defineProperty(create(...given), 'keepAliveTimeout', patient);
