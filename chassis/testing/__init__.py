"""What tests of every service stand on: given/when/then, conformance suites, fakes of the ports."""
