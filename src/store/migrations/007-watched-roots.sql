-- In which folder a watched file was seen: another one may stand in its place for a while (an unmounted volume), and tells nothing of it.
ALTER TABLE watched_files ADD COLUMN root TEXT;
UPDATE watched_files SET root = (SELECT inode FROM watched_folders WHERE watched_folders.folder = watched_files.folder);
