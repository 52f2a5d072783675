-- Several drafts may set out to replace an issued statement (one was rejected,
-- or its readings went on); which one does is settled when it is issued, by
-- the claim and by the one `superseded` event that a statement can have.
SET LOCAL ROLE tonne_owner;

ALTER TABLE statement DROP CONSTRAINT statement_supersedes_key;
