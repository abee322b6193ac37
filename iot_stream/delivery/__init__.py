"""Deliver: the delivery worker that stands in for Amazon Data Firehose, for any delivery stream.

core/      pure: the state machine and its parts. No I/O, clock, environment, logger or randomness; time is an argument.
           Start at core/state_machine.py.
edges/     one module for each neighbour: kinesis, lambda_, opensearch, s3, cloudwatch, and the worker's state folder.
worker.py  drives the core with the edges.

    kinesis ──► buffer ──► lambda_ ──► buffer ──► opensearch
                              └────────────┴──► backup buffer ──► s3

tests/unit/test_import_rules.py keeps the core pure.
"""
