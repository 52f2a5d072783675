-- What is not delivered is counted every half minute, however many were delivered.
SET LOCAL ROLE tonne_owner;
CREATE INDEX webhook_delivery_open ON webhook_delivery (state, asked) WHERE state <> 'delivered';
