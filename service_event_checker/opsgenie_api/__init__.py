"""Opsgenie's alerts and webhooks as calls and values. Who is told what, and when, is the destination's affair."""
