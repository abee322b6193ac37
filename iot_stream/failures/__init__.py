"""Failures: list, show and replay what Firehose left in S3.

reasons      why a record failed, by the function's own rules
selection    which of the failed records are meant, and what could be if none is
summary      their number by kind, code, index, hour and reason
progress     which records of an object are replayed, kept in the bucket
pace         how fast they are sent
transform    a person's own repair of each record
destinations the stream and the index
source       records of a source backup (AllDocuments)
replay       object by object: select, repair, send, confirm, move to replayed/
"""
