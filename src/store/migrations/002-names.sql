-- A name is asked for as it lies on the disk, whoever sees it under which path: several users may share a home.
DROP INDEX transfers_at_path;
CREATE INDEX transfers_at_final ON transfers (final, commit_order) WHERE commit_order IS NOT NULL;

ALTER TABLE renames ADD COLUMN source BLOB;
ALTER TABLE renames ADD COLUMN keeps INTEGER NOT NULL DEFAULT 0 CHECK (keeps IN (0, 1));

-- Other names (hard links) of files whose transfer stands at one of them.
CREATE TABLE other_names (
  final       BLOB PRIMARY KEY,
  inode       TEXT NOT NULL,
  since       INTEGER NOT NULL, -- in the order of commits: what came to the name later is its
  transfer_id TEXT NOT NULL REFERENCES transfers (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX other_names_of ON other_names (transfer_id);
