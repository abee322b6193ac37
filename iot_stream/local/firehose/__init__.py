"""Deliver: the delivery worker that Amazon Data Firehose is on AWS.

A pure core, to which time comes as an argument, and thin edges around it:

    source ──► buffers ──► envelope ──► bulk ──► …         delivery.py is the state machine over them
    (Kinesis)  (buffer)    (transform)  (index)
                               └──────────┴──► failures, keys ──► backup (S3)

Pure: record, state, settings, commands, kpl, shards, buffer, retry, envelope, bulk, failures, keys, ledger, vault,
measures, delivery. tests/unit/test_firehose_purity.py keeps them so.
Edges: aws, source, transform, domain, backup, observation, progress, configuration, worker.
"""
