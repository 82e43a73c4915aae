-- Where the folders of the configuration were in the last run: rows hold real paths, which move with them.
CREATE TABLE roots (
  name TEXT PRIMARY KEY,
  path BLOB NOT NULL
) STRICT, WITHOUT ROWID;
