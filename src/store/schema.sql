-- Made from the migrations; test/store/database.test.ts compares. Do not edit.

CREATE VIEW delivery_lines AS SELECT destination, remote_path FROM deliveries WHERE 0;

CREATE TRIGGER deliveries_enter AFTER INSERT ON deliveries BEGIN
  UPDATE deliveries SET waits = 1 WHERE rowid = NEW.rowid AND state = 'pending' AND EXISTS (
    SELECT 1 FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND rowid <> NEW.rowid
      AND waits IN (0, 1) AND state IN ('pending', 'retrying', 'running'));
  INSERT INTO delivery_counts VALUES (NEW.destination, NEW.state, 1) ON CONFLICT (destination, state) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER deliveries_leave AFTER DELETE ON deliveries BEGIN
  UPDATE delivery_counts SET n = n - 1 WHERE destination = OLD.destination AND state = OLD.state;
  INSERT INTO delivery_lines VALUES (OLD.destination, OLD.remote_path);
END;

CREATE TRIGGER deliveries_move AFTER UPDATE OF state ON deliveries WHEN OLD.state <> NEW.state BEGIN
  UPDATE delivery_counts SET n = n - 1 WHERE destination = NEW.destination AND state = OLD.state;
  INSERT INTO delivery_counts VALUES (NEW.destination, NEW.state, 1) ON CONFLICT (destination, state) DO UPDATE SET n = n + 1;
  INSERT INTO delivery_lines VALUES (NEW.destination, NEW.remote_path);
END;

CREATE TRIGGER delivery_lines_order INSTEAD OF INSERT ON delivery_lines BEGIN
  UPDATE deliveries SET waits = 1 WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND waits = 0
    AND state IN ('pending', 'retrying', 'running') AND rowid <> coalesce(
      (SELECT rowid FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND state = 'running'),
      (SELECT min(first) FROM (
        SELECT min(rowid) AS first FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND waits = 0 AND state IN ('pending', 'retrying', 'running')
        UNION ALL
        SELECT min(rowid) FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND waits = 1 AND state IN ('pending', 'retrying', 'running'))));
  UPDATE deliveries SET waits = 0 WHERE waits = 1 AND rowid = coalesce(
      (SELECT rowid FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND state = 'running'),
      (SELECT min(first) FROM (
        SELECT min(rowid) AS first FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND waits = 0 AND state IN ('pending', 'retrying', 'running')
        UNION ALL
        SELECT min(rowid) FROM deliveries WHERE destination = NEW.destination AND remote_path = NEW.remote_path AND waits = 1 AND state IN ('pending', 'retrying', 'running'))));
END;

CREATE TABLE admin_places (
  username TEXT NOT NULL REFERENCES admins (username) ON DELETE CASCADE,
  place    TEXT NOT NULL, -- an IPv4 address, or the /64 of an IPv6 one
  last_at  INTEGER NOT NULL,
  PRIMARY KEY (username, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_recovery_codes (
  username TEXT NOT NULL REFERENCES admins (username) ON DELETE CASCADE,
  hash     TEXT NOT NULL, -- SHA-256 of the code
  PRIMARY KEY (username, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_sessions (
  id_hash    TEXT PRIMARY KEY, -- SHA-256 of the cookie
  username   TEXT NOT NULL REFERENCES admins (username) ON DELETE CASCADE,
  csrf       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE admins (
  username      TEXT PRIMARY KEY,
  password_hash TEXT NOT NULL,
  role          TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'auditor')),
  enabled       INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  totp_secret   BLOB,    -- sealed by store/secret-box
  totp_pending  BLOB,    -- sealed; becomes totp_secret when a code of it was entered
  totp_step     INTEGER, -- the last time step a code was taken of: no code works twice
  last_login    INTEGER,
  created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE attempts (
  delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER,
  ok          INTEGER CHECK (ok IN (0, 1)),
  error_json  TEXT CHECK (error_json IS NULL OR json_valid(error_json)), worker TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  seq         INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  actor       TEXT NOT NULL,
  address     TEXT NOT NULL,
  action      TEXT NOT NULL,
  object      TEXT NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('ok', 'refused', 'failed')),
  detail_json TEXT NOT NULL CHECK (json_valid(detail_json)),
  previous    TEXT NOT NULL,
  hash        TEXT NOT NULL -- SHA-256 over previous and all columns but this one
) STRICT;

CREATE TABLE audit_anchor (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  seq  INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;

CREATE TABLE breakers (
  destination   TEXT PRIMARY KEY,
  since         INTEGER NOT NULL,
  failures      INTEGER NOT NULL, -- in a row
  next_probe_at INTEGER NOT NULL,
  error_json    TEXT NOT NULL CHECK (json_valid(error_json))
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY,
  transfer_id TEXT NOT NULL REFERENCES transfers (id),
  rule        TEXT NOT NULL,
  destination TEXT NOT NULL,
  username    TEXT NOT NULL,
  path        TEXT NOT NULL,
  remote_path TEXT NOT NULL,
  temp_name   TEXT NOT NULL,
  on_conflict TEXT NOT NULL CHECK (on_conflict IN ('overwrite', 'fail', 'rename', 'skip')),
  after       TEXT NOT NULL CHECK (after IN ('keep', 'delete', 'archive')),
  size        INTEGER NOT NULL,
  sha256      TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'retrying', 'delivered', 'dead', 'cancelled')),
  attempt     INTEGER NOT NULL DEFAULT 0,
  spent_before INTEGER NOT NULL DEFAULT 0, -- attempts before the last retry by hand: they no longer count against the limit
  retry_from  INTEGER,                     -- the first failure (since the last retry by hand): since when give_up_after counts
  unclear     INTEGER NOT NULL DEFAULT 0 CHECK (unclear IN (0, 1)), -- the far side may have it all the same
  next_at     INTEGER, -- when it may be claimed; NULL while pending: held until its file is published
  waits       INTEGER NOT NULL DEFAULT 0 CHECK (waits IN (0, 1)),  -- another one for the same remote name comes first (kept by triggers)
  crashes     INTEGER NOT NULL DEFAULT 0,                          -- how often the forwarder's thread ended while this ran
  shadow      INTEGER NOT NULL DEFAULT 0 CHECK (shadow IN (0, 1)), -- recorded by a shadow rule, never sent
  dedupe      INTEGER NOT NULL DEFAULT 0 CHECK (dedupe IN (0, 1)), -- its rule looks for earlier ones of the same content
  error_json  TEXT CHECK (error_json IS NULL OR json_valid(error_json)),
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL, deaths INTEGER NOT NULL DEFAULT 0,
  UNIQUE (transfer_id, rule, destination, remote_path),
  CHECK (state NOT IN ('running', 'delivered', 'dead', 'cancelled') OR next_at IS NULL),
  CHECK (state <> 'retrying' OR next_at IS NOT NULL),
  CHECK (shadow = 0 OR state = 'cancelled')
) STRICT;

CREATE TABLE delivery_counts (
  destination TEXT NOT NULL,
  state       TEXT NOT NULL,
  n           INTEGER NOT NULL,
  PRIMARY KEY (destination, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE destinations (
  name       TEXT PRIMARY KEY,
  enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  spec_json  TEXT NOT NULL CHECK (json_valid(spec_json)), -- the declaration without name, enabled and secrets
  secrets    BLOB,                                        -- sealed by store/secret-box
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE last_run (
  boot TEXT NOT NULL
) STRICT;

CREATE TABLE other_names (
  final       BLOB PRIMARY KEY,
  inode       TEXT NOT NULL,
  since       INTEGER NOT NULL, -- in the order of commits: what came to the name later is its
  transfer_id TEXT NOT NULL REFERENCES transfers (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
  delivery_id TEXT PRIMARY KEY REFERENCES deliveries (id) ON DELETE CASCADE,
  remote_path TEXT NOT NULL,
  size        INTEGER NOT NULL,
  sha256      TEXT NOT NULL,
  verified    TEXT NOT NULL CHECK (verified IN ('size', 'hash', 'readback')),
  algorithm   TEXT,
  outcome     TEXT NOT NULL CHECK (outcome IN ('sent', 'found', 'skipped')),
  server      TEXT,
  at          INTEGER NOT NULL
, method TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE refusal_counts (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  tries_json TEXT NOT NULL CHECK (json_valid(tries_json))
) STRICT;

CREATE TABLE renames (
  id          TEXT PRIMARY KEY,
  session_id  TEXT NOT NULL,
  transfer_id TEXT NOT NULL REFERENCES transfers (id),
  from_path   TEXT NOT NULL,
  to_path     TEXT NOT NULL,
  to_path_bytes BLOB,
  inode       TEXT NOT NULL,
  final       BLOB NOT NULL,
  at          INTEGER NOT NULL
, source BLOB, keeps INTEGER NOT NULL DEFAULT 0 CHECK (keeps IN (0, 1))) STRICT;

CREATE TABLE roots (
  name TEXT PRIMARY KEY,
  path BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rules (
  name       TEXT PRIMARY KEY,
  position   INTEGER NOT NULL,
  enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  spec_json  TEXT NOT NULL CHECK (json_valid(spec_json)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  id         TEXT PRIMARY KEY,
  username   TEXT NOT NULL,
  protocol   TEXT NOT NULL,
  address    TEXT NOT NULL,
  port       INTEGER NOT NULL,
  method     TEXT NOT NULL,
  client     TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('open', 'closed', 'aborted')),
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  reason     TEXT,
  CHECK ((state = 'open') = (ended_at IS NULL))
) STRICT;

CREATE TABLE tokens (
  name         TEXT PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE, -- SHA-256 of the token
  role         TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'auditor')),
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,
  last_used_at INTEGER
) STRICT;

CREATE TABLE transfers (
  id           TEXT PRIMARY KEY,
  session_id   TEXT NOT NULL REFERENCES sessions (id),
  username     TEXT NOT NULL,
  partner      TEXT NOT NULL,
  protocol     TEXT NOT NULL,
  address      TEXT NOT NULL,
  direction    TEXT NOT NULL CHECK (direction IN ('upload', 'download')),
  path         TEXT NOT NULL, -- as shown: undecodable bytes read as Latin-1; follows renames
  path_bytes   BLOB,          -- the exact bytes, only where they are not UTF-8
  state        TEXT NOT NULL CHECK (state IN ('open', 'committing', 'completed', 'aborted', 'suspect')),
  start_offset INTEGER NOT NULL,
  bytes        INTEGER NOT NULL DEFAULT 0,
  sha256       TEXT,
  started_at   INTEGER NOT NULL,
  committed_at INTEGER,
  commit_order INTEGER, -- the order of commits: the later one keeps a contested name
  ended_at     INTEGER,
  staging      BLOB,    -- real paths as bytes; staging until published, spool while deliveries are owed
  final        BLOB,
  spool        BLOB,
  evidence_json TEXT CHECK (evidence_json IS NULL OR json_valid(evidence_json)),
  error_json   TEXT CHECK (error_json IS NULL OR json_valid(error_json)),
  CHECK ((state IN ('open', 'committing')) = (ended_at IS NULL)),
  CHECK (state <> 'committing' OR (staging IS NOT NULL AND final IS NOT NULL AND sha256 IS NOT NULL AND commit_order IS NOT NULL))
) STRICT;

CREATE TABLE users (
  username      TEXT PRIMARY KEY,
  password_hash TEXT,
  enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  spec_json     TEXT NOT NULL CHECK (json_valid(spec_json)), -- the declaration without name, password and enabled
  used_bytes    INTEGER NOT NULL DEFAULT 0,
  used_files    INTEGER NOT NULL DEFAULT 0,
  last_login    INTEGER,
  last_address  TEXT,
  last_protocol TEXT,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE watched_files (
  folder      TEXT NOT NULL REFERENCES watched_folders (folder) ON DELETE CASCADE,
  path        BLOB NOT NULL, -- seen from the folder
  identity    TEXT NOT NULL, -- inode:size:mtime in ns
  state       TEXT NOT NULL CHECK (state IN ('taken', 'skipped', 'held')),
  transfer_id TEXT,
  scan        INTEGER NOT NULL, root TEXT, gone_at INTEGER,
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE watched_folders (
  folder     TEXT PRIMARY KEY,
  since      INTEGER NOT NULL, -- what lay there before is history
  inode      TEXT,             -- of the folder itself: an empty mount point is not the folder
  scan       INTEGER NOT NULL DEFAULT 0,
  reconciled INTEGER NOT NULL DEFAULT 0 CHECK (reconciled IN (0, 1)) -- its history was looked at to the end
) STRICT;

CREATE INDEX audit_by_action ON audit (action, seq);

CREATE INDEX audit_by_actor ON audit (actor, seq);

CREATE INDEX deliveries_arrived ON deliveries (destination, remote_path) WHERE state = 'delivered';

CREATE INDEX deliveries_due ON deliveries (destination, next_at, id) WHERE next_at IS NOT NULL AND waits = 0 AND crashes = 0;

CREATE INDEX deliveries_in_line ON deliveries (destination, remote_path, waits) WHERE state IN ('pending', 'retrying', 'running');

CREATE INDEX deliveries_in_state ON deliveries (state, id);

CREATE INDEX deliveries_next ON deliveries (next_at) WHERE next_at IS NOT NULL AND waits = 0;

CREATE INDEX deliveries_of_content ON deliveries (rule, sha256) WHERE dedupe = 1;

CREATE INDEX deliveries_of_destination ON deliveries (destination, state, id);

CREATE INDEX deliveries_of_rule ON deliveries (rule, id);

CREATE INDEX deliveries_running ON deliveries (destination, remote_path) WHERE state = 'running';

CREATE INDEX deliveries_suspected ON deliveries (next_at) WHERE next_at IS NOT NULL AND waits = 0 AND crashes > 0;

CREATE INDEX other_names_of ON other_names (transfer_id);

CREATE INDEX rules_in_order ON rules (position, name);

CREATE INDEX sessions_open ON sessions (id) WHERE state = 'open';

CREATE INDEX transfers_at_final ON transfers (final, commit_order) WHERE commit_order IS NOT NULL;

CREATE INDEX transfers_by_spool ON transfers (spool) WHERE spool IS NOT NULL;

CREATE INDEX transfers_in_commit_order ON transfers (commit_order) WHERE commit_order IS NOT NULL;

CREATE INDEX transfers_in_state ON transfers (state, id);

CREATE INDEX transfers_of_session ON transfers (session_id, id);

CREATE INDEX transfers_of_user ON transfers (username, id);

CREATE INDEX transfers_spooled ON transfers (id) WHERE spool IS NOT NULL;

CREATE INDEX transfers_unfinished ON transfers (state, commit_order) WHERE state IN ('open', 'committing');
