/*
 * Sends changes of our incidents to the Platform Outage Checker: state, work notes, comments.
 *
 * A business rule of the table Incident, as docs/servicenow.md sets it up: When `after` (an async rule cannot see what
 * the record was before), Update ticked, Advanced ticked. ES5, because older releases need it.
 *
 * System properties: outage_checker.url    https://outages.example.com/hooks/servicenow
 *                    outage_checker.token  the value of WEBHOOK_TOKEN_SERVICENOW (or WEBHOOK_TOKEN)
 *                    outage_checker.user   the user name that the checker uses
 */
(function executeRule(current, previous) {
  var url = gs.getProperty('outage_checker.url', '');
  var ours = String(current.getValue('correlation_display') || '').indexOf('poc-') === 0;
  if (!url || !ours || gs.getUserName() === gs.getProperty('outage_checker.user', 'outage.checker')) {
    return;
  }

  var workNotes = newest('work_notes');
  var comments = newest('comments');
  if (!current.state.changes() && !workNotes && !comments) {
    return;
  }

  var body = {
    event: 'incident.updated',
    sys_id: text('sys_id'),
    number: text('number'),
    state: text('state'),
    previous_state: String(previous.getValue('state') || ''),
    close_code: text('close_code'),
    correlation_id: text('correlation_id'),
    correlation_display: text('correlation_display'),
    work_notes: workNotes,
    comments: comments,
    comment_id: text('sys_mod_count') + ':' + text('sys_updated_on'),
    user: gs.getUserName(),
    user_name: gs.getUserDisplayName(),
    at: text('sys_updated_on')
  };

  try {
    var request = new sn_ws.RESTMessageV2();
    request.setEndpoint(url);
    request.setHttpMethod('post');
    request.setRequestHeader('Content-Type', 'application/json');
    request.setRequestHeader('X-Webhook-Token', gs.getProperty('outage_checker.token', ''));
    request.setHttpTimeout(10000);
    request.setRequestBody(JSON.stringify(body));
    request.executeAsync(); // saving an incident does not wait for us
  } catch (problem) {
    gs.error('Platform Outage Checker was not told of ' + body.number + ': ' + problem);
  }

  /** Return a column's value as the database has it, "" for none. */
  function text(column) {
    return String(current.getValue(column) || '');
  }

  /** Return what was just written into a journal, "" for nothing: its newest entry without the line that says who. */
  function newest(journal) {
    if (!current[journal].changes()) {
      return '';
    }
    var entry = String(current[journal].getJournalEntry(1));
    return entry.substring(entry.indexOf('\n') + 1).trim();
  }
})(current, previous);
