"""Files in, files out: jobs that finish (question 5, offline).

A job is read in order, answered by whichever process is free, and kept in order again.

    manifest     what a job is, and which of its parts are safe · folder: where they are written
    answering    a shard as a part of the output · quarantine: the rows that got no answer
    tasks        what a worker is told · line: over what · worker: the process · workers: all of them
    suspects     which rows end a process · budget: how many may be bad · sampling: which rows tell of drift
    run          all of it, until it is done · summary: what became of it
"""
