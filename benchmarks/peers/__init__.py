"""Kabina beside other forwarders: one load generator, one run."""
