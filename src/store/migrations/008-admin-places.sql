-- Where each admin logged in from before: there nobody waits because somebody elsewhere guesses at the account.
CREATE TABLE admin_places (
  username TEXT NOT NULL REFERENCES admins (username) ON DELETE CASCADE,
  place    TEXT NOT NULL, -- an IPv4 address, or the /64 of an IPv6 one
  last_at  INTEGER NOT NULL,
  PRIMARY KEY (username, place)
) STRICT, WITHOUT ROWID;
INSERT INTO admin_places
  SELECT actor, address, max(at) FROM audit
  WHERE action = 'admin.login' AND outcome = 'ok' AND address NOT LIKE '%:%' AND actor IN (SELECT username FROM admins) GROUP BY actor, address;
