-- Refused logins that are counted and have no row in the audit log yet: a kill loses no more than the last seconds of them.
CREATE TABLE refusal_counts (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  tries_json TEXT NOT NULL CHECK (json_valid(tries_json))
) STRICT;
