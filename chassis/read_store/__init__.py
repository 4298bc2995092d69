"""Where projections keep their documents: one port, one conformance suite, one adapter an engine."""
