-- Since when a watched file is gone, as scans find it; NULL while it is there. Not when it was last there: a gateway that was off for weeks may start before the volume is mounted.
ALTER TABLE watched_files ADD COLUMN gone_at INTEGER;
