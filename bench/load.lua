-- wrk's script. Arguments: how many distinct alerts a message holds (0: only ask), and a word that no other run has.
-- The last line of the output is JSON; times are in microseconds.
local size, run, count, now = 0, "", 0, os.date("!%Y-%m-%dT%H:%M:%S.000Z")

local ALERT = [[{"status":"firing","labels":{"alertname":"DiskIsSlow","instance":"web-%s-%d:9100","job":"node",]]
  .. [["namespace":"shop","severity":"%s"},"annotations":{"summary":"Disk %d is slow",]]
  .. [["description":"The disk answers late. The disk answers late. The disk answers late. The disk answers late."},]]
  .. [["startsAt":"%s","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.test/graph?g0.expr=up",]]
  .. [["fingerprint":"%s%08x"}]]
local SEVERITIES = { "critical", "warning" } -- all of them know these

function init(args)
  size, run = tonumber(args[1]), args[2]
  if size > 0 then
    wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
  end
end

function request()
  if size == 0 then
    return wrk.format()
  end
  local alerts = {}
  for place = 1, size do
    count = count + 1
    alerts[place] = ALERT:format(run, count, SEVERITIES[count % 2 + 1], count, now, run, count)
  end
  return wrk.format(nil, nil, nil, '{"version":"4","groupKey":"{}:{}","status":"firing","receiver":"bench",'
    .. '"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alertmanager.test",'
    .. '"truncatedAlerts":0,"alerts":[' .. table.concat(alerts, ",") .. "]}")
end

function done(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format('{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"late":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    failed.status, failed.connect + failed.read + failed.write, failed.timeout))
end
