"""What alerts say, in the words of the rules and programs that send them.

`{service}`, `{host}`, `{n}` and `{code}` are filled in. Sources: kubernetes-mixin and node-mixin (rules shipped by
kube-prometheus), blackbox_exporter's example rules, awesome-prometheus-alerts, errors as client libraries print them.
"""

from __future__ import annotations

#: (alertname, description): a vendor's host fails
VENDOR_CALLS = (
    ("PaymentErrorsHigh", "POST https://{host}/v1/charges: HTTP {code} ({n} of 400 requests in 5m)"),
    ("UpstreamErrors", "{n}% of calls to {host} failed with {code} in the last 5 minutes"),
    ("HttpClientErrors", 'Get "https://{host}/v2/items": context deadline exceeded (Client.Timeout exceeded)'),
    ("JobFailed", "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='{host}', port=443): Read timed out."),
    ("SyncFailing", "HTTPSConnectionPool(host='{host}', port=443): Max retries exceeded with url: /api"),
    ("WebhookBacklog", "{n} jobs wait; last error: {code} Server Error for url: https://{host}/messages"),
    ("ThirdPartyLatency", "p99 of outbound requests to {host} is {n}s"),
    (
        "CircuitBreakerOpen",
        "Circuit breaker for {host} is open: upstream connect error or disconnect/reset before headers",
    ),
    ("LoginFailures", "java.net.SocketTimeoutException: connect timed out ({host}:443), {n} users affected"),
    ("ErrorRateHigh", "dial tcp: lookup {host}: i/o timeout"),
)
#: labels of a blackbox probe hold the host, and the text does not need to
PROBES = (
    ("ProbeFailed", "Probe failed (instance https://{host}/health)\n  VALUE = 0"),
    ("BlackboxProbeHttpFailure", "HTTP status code is not 200-399\n  VALUE = {code}"),
    ("BlackboxSlowProbe", "Blackbox probe took more than 1s to complete"),
)
AWS_CALLS = (
    (
        "WorkerErrors",
        'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://{host}/"',
    ),
    ("QueueStuck", "An error occurred (InternalServerError) when calling the PutItem operation, host {host}"),
    (
        "S3UploadFailures",
        "com.amazonaws.SdkClientException: Unable to execute HTTP request: Connect to {host}:443 failed",
    ),
    ("LambdaErrors", "{n} invocations failed: read timeout on endpoint URL: https://{host}/"),
)
#: nothing of a vendor, nothing of a cause
GENERIC = (
    ("HighErrorRate", "{service} answers {n}% of its requests with 5xx"),
    ("HighLatency", "p99 of {service} is {n}s"),
    ("SLOErrorBudgetBurn", "High error budget burn for {service} (1h / 5m)"),
    ("KubePodNotReady", "Pod prod/{service}-7d9f has been in a non-ready state for longer than 15 minutes."),
    ("TargetDown", "{n}% of the {service}/{service} targets in prod namespace are down."),
    ("ConsumerLag", "Consumer group {service} is {n}00 messages behind"),
    ("KubeDeploymentReplicasMismatch", "Deployment prod/{service} has not matched the expected number of replicas."),
    ("QueueGrowing", "Queue {service} holds {n}000 messages"),
)
#: a cause of our own
OWN = (
    ("KubePodCrashLooping", 'Pod prod/{service}-7d9f (app) is in waiting state (reason: "CrashLoopBackOff").'),
    (
        "NodeFilesystemAlmostOutOfSpace",
        "Filesystem on /dev/vda1 at 10.0.0.4:9100 has only 2.{n}% available space left.",
    ),
    ("KubeNodeNotReady", "node-{n} has been unready for more than 15 minutes."),
    ("CPUThrottlingHigh", "{n}% throttling of CPU in namespace prod for container app in pod {service}-7d9f."),
    ("KubePersistentVolumeFillingUp", "The PersistentVolume claimed by data-pg-0 in Namespace prod is only 2.1% free."),
    ("NodeMemoryHighUtilization", "Memory is filling up at 10.0.0.4:9100, has been above 90% for the last 15 minutes."),
    ("NodeFileDescriptorLimit", "File descriptors limit at 10.0.0.4:9100 is currently at 91%."),
    (
        "KubeClientCertificateExpiration",
        "A client certificate used to authenticate is expiring in less than 24.0 hours.",
    ),
    ("ContainerOOM", "Container app of {service} was OOMKilled {n} times"),
    ("PostgresqlTooManyConnections", "PostgreSQL instance has too many connections (> 80%)."),
    ("PostgresqlReplicationLag", "Postgresql replication lag is growing (> {n}s)"),
    ("MysqlSlowQueries", "MySQL server has new slow queries."),
    ("PostgresqlDeadLocks", "PostgreSQL has deadlocks"),
    ("ApplicationPanic", "panic: runtime error: invalid memory address or nil pointer dereference in {service}"),
    ("UnhandledException", "java.lang.NullPointerException: Cannot invoke String.length() at {service}.Handler"),
    ("MigrationFailed", "psycopg.errors.UndefinedColumn: column orders.state does not exist ({service})"),
    ("ConfigError", "{service}: KeyError: 'PAYMENT_TIMEOUT' is not set, the process ends"),
    ("ImportErrorSpike", "ModuleNotFoundError: No module named 'billing.rates' in {service}"),
    ("HeapNearlyFull", "java.lang.OutOfMemoryError: Java heap space ({service})"),
    ("EtcdNoLeader", 'etcd cluster "main": member 10.0.0.{n} has no leader.'),
    ("RedisOutOfMemory", "Redis is running out of memory (> 90%)"),
    ("DiskWillFill", "Filesystem is predicted to run out of space within the next 24 hours at current write rate"),
)
#: our own account at a vendor: its host stands in the text, and the fault is ours
ACCOUNT = (
    ("PaymentErrorsHigh", "POST https://{host}/v1/charges: HTTP 401 Unauthorized: Invalid API Key provided"),
    ("SyncFailing", "403 Client Error: Forbidden for url: https://{host}/v2/items"),
    ("JobFailed", "https://{host}/oauth/token: invalid_client: the client secret has expired"),
    ("UpstreamErrors", "{host}: HTTP 400 Bad Request: unknown parameter 'state'"),
    ("QuotaReached", "{host}: quota exceeded for project, {n} calls refused"),
    ("TlsErrors", 'Get "https://{host}/": x509: certificate signed by unknown authority'),
    ("UploadsFail", "{host}: AccessDenied: user is not authorized to perform: PutObject"),
    ("LoginFailures", "{host}: Bad credentials (401)"),
)
#: a limit: mostly our plan, our address or a loop of ours, at times the vendor's mistake
LIMITS = (
    ("PullsFail", "{host}: toomanyrequests: the pull rate limit is reached"),
    ("SyncFailing", "429 Client Error: Too Many Requests for url: https://{host}/v2/items"),
    ("CallsRefused", "{host}: rate limit exceeded, retry after {n} s"),
)
