"""Files and bodies that hold many rows: read in shards that are always cut alike, and written.

    places       which files are meant, on this machine or in an object store, and how to tell that one has changed
    shards       what a reader gives: rows that belong together, and where the next ones begin
    columnar     Parquet and Arrow · lines: CSV and NDJSON · pictures: a folder of them
    dialect      how a CSV file is written, and where its rows begin and end
    values       what a cell of CSV means to a field · cells: columns of them · records: rows of them, for a front
    batches      a shard's bytes as rows that validation reads, with every row that could not even be read
    tables       columns of answers as Parquet, CSV or NDJSON

Readers cut, without looking at types; ``batches`` gives types by the contract, never by what a value looks like. The
two may run in different processes.
"""
