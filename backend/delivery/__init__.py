"""The outbox and what empties it: Web Push and SMS. Sends, decides nothing."""
