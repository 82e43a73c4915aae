-- Which thread an attempt was leased to; unknown for those from before.
ALTER TABLE attempts ADD COLUMN worker TEXT;
