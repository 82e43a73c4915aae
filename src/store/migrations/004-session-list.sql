-- The transfers of a session newest first: one session may have very many.
DROP INDEX transfers_of_session;
CREATE INDEX transfers_of_session ON transfers (session_id, id);
