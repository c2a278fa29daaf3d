"""PagerDuty: calls of its REST API v2 and its V3 webhooks as values; who is told what is the destination's affair."""
