// Runs a business rule as ServiceNow would: argv[2] is its file, argv[3] a record as JSON. Prints what it sends, or nothing.
'use strict';
const fs = require('fs');
const vm = require('vm');

const told = JSON.parse(process.argv[3]);
const record = { getValue: (column) => (column in told.current ? told.current[column] : null) };
record.state = { changes: () => told.current.state !== told.previous.state };
for (const journal of ['work_notes', 'comments']) {
  const text = told.written[journal];
  record[journal] = {
    changes: () => Boolean(text),
    getJournalEntry: () => `2026-11-20 03:00:00 - Ada L. (Work notes)\n${text}\n\n`,
  };
}
class RESTMessageV2 {
  constructor() { this.sent = { headers: {} }; }
  setEndpoint(url) { this.sent.url = url; }
  setHttpMethod(method) { this.sent.method = method; }
  setRequestHeader(name, value) { this.sent.headers[name] = value; }
  setHttpTimeout() {}
  setRequestBody(body) { this.sent.body = body; }
  executeAsync() { process.stdout.write(JSON.stringify(this.sent)); }
}
vm.runInNewContext(fs.readFileSync(process.argv[2], 'utf8'), {
  current: record,
  previous: { getValue: (column) => told.previous[column] },
  sn_ws: { RESTMessageV2 },
  gs: {
    getProperty: (name, otherwise) => told.properties[name] || otherwise,
    getUserName: () => told.user,
    getUserDisplayName: () => 'Ada L.',
    error: (text) => process.stderr.write(text),
  },
});
