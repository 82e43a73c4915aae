-- When a watched file was last there: a volume mounted below the folder may be away for a while. 0: before this was noted.
ALTER TABLE watched_files ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
