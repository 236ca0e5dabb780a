"""The scenarios that come with Undertow."""
