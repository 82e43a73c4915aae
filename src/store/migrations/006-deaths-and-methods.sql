-- How often in a row the whole process ended while a delivery ran, and how a far side was asked for its hash.
ALTER TABLE deliveries ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN method TEXT;
