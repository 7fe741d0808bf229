"""Progress without polling: server-sent events of jobs, for as many listeners as come."""
