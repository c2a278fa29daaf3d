#!/bin/sh
# Sends an example like Opsgenie or PagerDuty, and shows the answer:
#   ./examples/send.sh ops-webhook-create.json            to /ops-webhook
#   ./examples/send.sh pd-webhook-note.json Q1ABCDEF      to /pd-webhook, for that incident
# A second argument replaces the ID of the example's alert or incident. Environment:
#   HOST                       address of the app, default http://127.0.0.1:8000
#   PAGERDUTY_WEBHOOK_SECRET   signs requests to /pd-webhook
#   OPSGENIE_INTEGRATION_ID    is added to requests to /ops-webhook
#   WEBHOOK_TOKEN              is sent if set; WEBHOOK_TOKEN_OPSGENIE, WEBHOOK_TOKEN_PAGERDUTY replace it
set -eu

fail() {
    echo "send.sh: $1" >&2
    exit 2
}

plain() { # an id goes into the body as it is
    case $1 in
    *[!A-Za-z0-9_-]*) fail "$2 may have letters, digits, - and _ only" ;;
    esac
}

[ $# -ge 1 ] && [ $# -le 2 ] || fail "name an example: ./examples/send.sh ops-webhook-create.json [id]"
file=$1
[ -f "$file" ] || file=$(dirname "$0")/$1
[ -f "$file" ] || fail "there is no file $1"

case $(basename "$file") in
ops-webhook-*) route=/ops-webhook example=test-123 token=${WEBHOOK_TOKEN_OPSGENIE:-${WEBHOOK_TOKEN:-}} ;;
pd-webhook-*) route=/pd-webhook example=INCIDENT_ID token=${WEBHOOK_TOKEN_PAGERDUTY:-${WEBHOOK_TOKEN:-}} ;;
*) fail "the name of the file must begin with ops-webhook- or pd-webhook-" ;;
esac
id=${2:-$example}
integration=${OPSGENIE_INTEGRATION_ID:-INTEGRATION_ID}
plain "$id" "the id"
plain "$integration" OPSGENIE_INTEGRATION_ID

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' HUP INT TERM
sed -e "s/$example/$id/g" -e "s/INTEGRATION_ID/$integration/g" "$file" >"$folder/body"

# Headers are passed in a file, because every user of the machine can read command lines.
{
    echo 'header = "Content-Type: application/json"'
    [ -z "$token" ] || echo "header = \"X-Webhook-Token: $token\""
    if [ $route = /pd-webhook ] && [ -n "${PAGERDUTY_WEBHOOK_SECRET:-}" ]; then
        signature=$(openssl dgst -sha256 -hmac "$PAGERDUTY_WEBHOOK_SECRET" -r <"$folder/body")
        echo "header = \"X-PagerDuty-Signature: v1=${signature%% *}\""
    fi
} >"$folder/headers"

status=$(curl -sS --max-time 30 --config "$folder/headers" --data-binary "@$folder/body" \
    --output "$folder/answer" --write-out '%{http_code}' "${HOST:-http://127.0.0.1:8000}$route") || exit 1
echo "HTTP $status"
cat "$folder/answer"
echo
[ "$status" -lt 400 ]
