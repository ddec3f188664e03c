"""Who waits: long polls and server-sent events, in a process that holds no secret."""
