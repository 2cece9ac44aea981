-- The complete token service. The conventions are those of the first migration.

-- Clients: metadata beyond the columns, a JSON object.
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
